import { ActionError } from '../errors.ts'
import { asObjects, asText, type JsonObject } from '../model/json.ts'
import type { SecretOutcome, SecretVersion } from '../model/secrets.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import { reasonOf, refusalOf, shorten, statusOf, type Api, type AttemptObserver } from './api.ts'
import { listSecrets, type SecretPage } from './listing.ts'
import { isLasting, isRetryable, type Failure } from './retry.ts'
import { isNewer, readResourceVersion, TABLE_ONLY, WITHOUT_OBJECTS } from './table.ts'
import { TransportError, type HttpAnswer, type HttpRequest } from './transport.ts'

export interface ReencryptionOptions {
  readonly api: Api
  /** Requests under way at once, at most. */
  readonly maxConcurrency?: number | undefined
  /** Secrets listed at once. */
  readonly pageSize?: number
  /** Called as Secrets are listed, with how many came. */
  readonly onListed?: (count: number) => void
  /**
   * Ask for each Secret's resourceVersion and patch it only at that one. Two requests for each, but then a Secret that others
   * write all the time is not taken for one that was stale.
   */
  readonly exact?: boolean
}

/** What is asked of one walk, and what its requests report to. */
interface Walk extends Pick<ReencryptionOptions, 'api'> {
  readonly exact: boolean
  readonly observer: AttemptObserver
}

/** The kind of patch that takes kube-apiserver the least: the Secret is not made JSON and read again. */
const STRATEGIC_MERGE_PATCH = { accept: TABLE_ONLY, 'content-type': 'application/strategic-merge-patch+json' }
const JSON_PATCH = { accept: TABLE_ONLY, 'content-type': 'application/json-patch+json' }

/** How often a Secret is asked for again that was written between the question and the patch. */
const MOST_OVERTAKINGS = 10

/**
 * One walk over every Secret of the cluster, with an empty patch for each: the API server writes a Secret again exactly if its
 * bytes in etcd are not what it would write now, and leaves it alone otherwise. Every Secret that is listed yields one outcome.
 * Throws ActionError when the walk can't be finished, and the reason of the Api's signal. Whoever leaves the walk early closes the Api.
 * Source: GuaranteedUpdate in k8s.io/apiserver/pkg/storage/etcd3/store.go
 */
export async function* reencryptSecrets(options: ReencryptionOptions): AsyncGenerator<SecretOutcome, void> {
  const { api, maxConcurrency, pageSize = 500, onListed, exact = false } = options
  const limit = new AdaptiveLimit({ most: maxConcurrency })
  const settled: SecretOutcome[] = []
  let underWay = 0
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}

  const walk: Walk = {
    api,
    exact,
    observer: {
      onAnswer: (latency) => limit.onAnswer(latency, underWay),
      onFailure: (failure) => limit.onFailure(failure)
    }
  }
  const settle = async (page: SecretPage, name: string): Promise<void> => {
    underWay++
    try {
      settled.push(await reencrypt(walk, page, name))
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

  for await (const page of listSecrets(api, pageSize, limit.most)) {
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

async function reencrypt(walk: Walk, page: SecretPage, name: string): Promise<SecretOutcome> {
  const { namespace } = page
  const secret = { namespace, name }
  const path = pathOf(secret)
  // A patch whose answer was lost may have been carried out.
  const lost = { any: false }
  const observer: AttemptObserver = {
    onAnswer: (latency) => walk.observer.onAnswer(latency),
    onFailure(failure) {
      lost.any = true
      walk.observer.onFailure(failure)
    }
  }
  for (let overtakings = 0; ; overtakings++) {
    let before = page.resourceVersion
    if (walk.exact) {
      const found = await walk.api.attempt(emptyPatch(path, '&dryRun=All'), walk.observer)
      const version = versionOf(found)
      if (version === undefined) return await outcomeWithoutVersion(walk, found, secret)
      before = version
    }
    const request = walk.exact ? patchAt(path, before) : emptyPatch(path)
    const result = await walk.api.attempt(request, observer)
    const resourceVersion = versionOf(result)
    if (resourceVersion !== undefined) {
      const written = isNewer(resourceVersion, before) || (overtakings > 0 && lost.any)
      const kind = written ? 're-encrypted' : 'already-current'
      return { kind, namespace, name, resourceVersion }
    }
    if (!(walk.exact && wasOvertaken(result) && overtakings < MOST_OVERTAKINGS)) {
      return await outcomeWithoutVersion(walk, result, secret)
    }
  }
}

export function pathOf({ namespace, name }: Pick<SecretVersion, 'namespace' | 'name'>): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`
}

/** Writes nothing but what the API server itself would write otherwise. Its answer holds the Secret's resourceVersion. */
export function emptyPatch(path: string, query = ''): HttpRequest {
  return { method: 'PATCH', path: `${path}?${PARAMETERS}${query}`, headers: STRATEGIC_MERGE_PATCH, body: '{}' }
}

/** Nothing is sent whose fields could be validated: what is stored is not to be searched for unknown ones either. */
const PARAMETERS = `${WITHOUT_OBJECTS}&fieldManager=aks-kms-etcd-encryption&fieldValidation=Ignore`

/**
 * The same, if the Secret is at this version. A resourceVersion in a merge patch would not do: where nothing else differs,
 * kube-apiserver 1.36 does not compare it.
 */
export function patchAt(path: string, resourceVersion: string): HttpRequest {
  const test = [{ op: 'test', path: '/metadata/resourceVersion', value: resourceVersion }]
  return { method: 'PATCH', path: `${path}?${PARAMETERS}`, headers: JSON_PATCH, body: JSON.stringify(test) }
}

/** A test that does not hold is a 422 like an invalid object, but without causes. */
export function wasOvertaken(result: Failure): boolean {
  return !(result instanceof TransportError) && result.status === 422 && causesOf(statusOf(result).details) === ''
}

/** Of the Secret that an answer is about; undefined when it is about none. */
export function versionOf(result: Failure): string | undefined {
  return result instanceof TransportError || result.status !== 200 ? undefined : readResourceVersion(result)
}

async function outcomeWithoutVersion(
  { api }: Walk,
  result: Failure,
  { namespace, name }: Pick<SecretVersion, 'namespace' | 'name'>
): Promise<SecretOutcome> {
  if (isGone(result)) return { kind: 'gone', namespace }
  await throwIfWhole(api, result, namespace)
  return { kind: 'failed', namespace, name, ...classify(result) }
}

/** In the API server's own words: a proxy's 404 says nothing of a Secret. */
function isGone(result: Failure): boolean {
  return !(result instanceof TransportError) && result.status === 404 && statusOf(result).reason === 'NotFound'
}

/** What stands in the way of every Secret is not the failure of one. */
async function throwIfWhole(api: Api, result: Failure, namespace: string): Promise<void> {
  if (result instanceof TransportError) {
    if (isLasting(result.code) || !(await api.responds())) throw api.unreachable(result)
    return
  }
  if (result.status === 401) throw api.unauthorized(result)
  // An authorizer's refusal, in the words of k8s.io/apiserver/pkg/endpoints/handlers/responsewriters; an admission's differs.
  if (result.status === 403 && statusOf(result).message.includes('cannot patch resource "secrets"')) {
    throw new ActionError('secrets-forbidden', refusalOf(`patch a Secret of namespace ${namespace}`, result))
  }
  if (isRetryable(result.status) && !(await api.responds())) throw api.unreachable(result)
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
    status === 404 ||
    status === 409 ||
    wasOvertaken(result) ||
    (isRetryable(status) && (status !== 500 || reason === 'ServerTimeout' || PASSING.test(message)))
  return {
    permanence: passing ? 'transient' : 'permanent',
    status,
    // The message of a 422 quotes the invalid value: its causes say which field it is.
    reason: shorten(status === 422 ? `${reason}: ${causesOf(details)}` : reasonOf(result), 300)
  }
}

function causesOf(details: JsonObject): string {
  return asObjects(details['causes'])
    .map((cause) => `${asText(cause['field'])} ${asText(cause['reason'])}`)
    .join(', ')
}
