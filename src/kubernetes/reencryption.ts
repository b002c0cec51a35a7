import { ActionError } from '../errors.ts'
import { isJsonObject, type JsonObject } from '../model/json.ts'
import type { SecretOutcome } from '../model/secrets.ts'
import type { AdaptiveLimit } from './adaptive-limit.ts'
import { reasonOf, refusalOf, shorten, statusOf, textOf, type Api } from './api.ts'
import { listSecrets, type SecretPage } from './listing.ts'
import { isLasting, isRetryable, type Failure } from './retry.ts'
import { isNewer, readResourceVersion, TABLE_ONLY, WITHOUT_OBJECTS } from './table.ts'
import { TransportError, type HttpAnswer } from './transport.ts'

export interface ReencryptionOptions {
  readonly api: Api
  readonly limit: AdaptiveLimit
  /** Secrets listed at once. */
  readonly pageSize?: number
  /** Called as Secrets are listed, with how many came. */
  readonly onListed?: (count: number) => void
}

const FIELD_MANAGER = 'aks-kms-etcd-encryption'
const HEADERS = { accept: TABLE_ONLY, 'content-type': 'application/merge-patch+json' }

/**
 * One walk over every Secret of the cluster, with an empty patch for each: the API server writes a Secret again exactly if its
 * bytes in etcd are not what it would write now, and leaves it alone otherwise. Every Secret that is listed yields one outcome.
 * Throws ActionError when the walk can't be finished, and the reason of the Api's signal. Whoever leaves the walk early closes the Api.
 * Source: GuaranteedUpdate in k8s.io/apiserver/pkg/storage/etcd3/store.go
 */
export async function* reencryptSecrets(options: ReencryptionOptions): AsyncGenerator<SecretOutcome, void> {
  const { api, limit, pageSize = 500, onListed } = options
  const settled: SecretOutcome[] = []
  let underWay = 0
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}

  const settle = async (page: SecretPage, name: string): Promise<void> => {
    underWay++
    try {
      settled.push(await reencrypt(api, limit, page, name))
      limit.onAnswer(underWay)
    } catch (error) {
      failure ??= { error }
    }
    underWay--
    wake()
  }
  const nextSettled = () => new Promise<void>((resolve) => (wake = resolve))
  const drain = (): SecretOutcome[] => {
    if (failure !== undefined) throw failure.error
    return settled.splice(0)
  }

  for await (const page of listSecrets(api, pageSize)) {
    onListed?.(page.names.length)
    for (const name of page.names) {
      while (underWay >= limit.current && failure === undefined) await nextSettled()
      yield* drain()
      void settle(page, name)
    }
  }
  while (underWay > 0) {
    await nextSettled()
    yield* drain()
  }
  yield* drain()
}

async function reencrypt(api: Api, limit: AdaptiveLimit, page: SecretPage, name: string): Promise<SecretOutcome> {
  const { namespace } = page
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`
  const result = await api.attempt(
    {
      method: 'PATCH',
      path: `${path}?${WITHOUT_OBJECTS}&fieldManager=${FIELD_MANAGER}`,
      headers: HEADERS,
      body: '{}'
    },
    (failure) => limit.onFailure(failure)
  )
  if (!(result instanceof TransportError)) {
    if (result.status === 200) {
      const resourceVersion = readResourceVersion(result)
      if (resourceVersion !== undefined) {
        return { kind: isNewer(resourceVersion, page.resourceVersion) ? 're-encrypted' : 'already-current', namespace }
      }
    }
    if (result.status === 404) return { kind: 'gone', namespace }
  }
  throwIfWhole(api, result, namespace)
  return { kind: 'failed', namespace, name, ...classify(result) }
}

/** What stands in the way of every Secret is not the failure of one. */
function throwIfWhole(api: Api, result: Failure, namespace: string): void {
  if (result instanceof TransportError) {
    if (isLasting(result.code) || api.silent) throw api.unreachable(result)
    return
  }
  if (result.status === 401) throw api.unauthorized(result)
  // An authorizer's refusal, in the words of k8s.io/apiserver/pkg/endpoints/handlers/responsewriters; an admission's differs.
  if (result.status === 403 && statusOf(result).message.includes('cannot patch resource "secrets"')) {
    throw new ActionError('secrets-forbidden', refusalOf(`patch a Secret of namespace ${namespace}`, result))
  }
  if (isRetryable(result.status) && api.silent) throw api.unreachable(result)
}

/** Words of a 500 that speak of something that comes back: etcd, a webhook or the KMS plugin. */
const PASSING = /timed? ?out|deadline exceeded|leader changed|connection re(fused|set)|unavailable|no endpoints/i

function classify(result: HttpAnswer | TransportError): {
  permanence: 'permanent' | 'transient'
  status: number
  reason: string
} {
  if (result instanceof TransportError) return { permanence: 'transient', status: 0, reason: result.code }
  const { status } = result
  const { reason, message, details } = statusOf(result)
  const passing =
    status === 200 ||
    status === 409 ||
    (isRetryable(status) && (status !== 500 || reason === 'ServerTimeout' || PASSING.test(message)))
  return {
    permanence: passing ? 'transient' : 'permanent',
    status,
    // The message of a 422 quotes the invalid value: its causes say which field it is.
    reason: shorten(status === 422 ? `${reason}: ${causesOf(details)}` : reasonOf(result), 300)
  }
}

function causesOf(details: JsonObject): string {
  const causes = Array.isArray(details['causes']) ? details['causes'].filter(isJsonObject) : []
  return causes.map((cause) => `${textOf(cause['field'])} ${textOf(cause['reason'])}`).join(', ')
}
