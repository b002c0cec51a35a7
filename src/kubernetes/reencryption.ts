import { ActionError } from '../errors.ts'
import { asObjects, asText, type JsonObject } from '../model/json.ts'
import type { SecretOutcome, SecretVersion } from '../model/secrets.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import { reasonOf, refusalOf, shorten, statusOf, type Api, type AttemptObserver } from './api.ts'
import { listSecrets, type SecretPage } from './listing.ts'
import { isLasting, isRetryable } from './retry.ts'
import { isNewer, readResourceVersion, TABLE_ONLY, WITHOUT_OBJECTS } from './table.ts'
import { TransportError, type HttpRequest, type Result } from './transport.ts'

export interface ReencryptionOptions {
  readonly api: Api
  /** Requests under way at once, at most. */
  readonly maxConcurrency?: number | undefined
  /** Secrets listed at once. */
  readonly pageSize?: number
  /** Called as Secrets are listed, with how many came. */
  readonly onListed?: (count: number) => void
  /** Called as each Secret has come to its end. */
  readonly onOutcome: (outcome: SecretOutcome) => void
  /**
   * Ask for each Secret's resourceVersion and patch it only at that one. Two requests for each, but then a Secret that others
   * write all the time is not taken for one that was stale.
   */
  readonly exact?: boolean
}

/** What one walk sends its requests by, and what they report to. */
interface Walk {
  readonly api: Api
  readonly observer: AttemptObserver
}

/** The kind of patch that takes kube-apiserver the least: the Secret is not made JSON and read again. */
const STRATEGIC_MERGE_PATCH = { accept: TABLE_ONLY, 'content-type': 'application/strategic-merge-patch+json' }
const JSON_PATCH = { accept: TABLE_ONLY, 'content-type': 'application/json-patch+json' }

/** How often a Secret is asked for again that was written between the question and the patch. */
const MOST_OVERTAKINGS = 10

/**
 * One walk over every Secret of the cluster, with an empty patch for each: the API server writes a Secret again exactly if its
 * bytes in etcd are not what it would write now, and leaves it alone otherwise. Every Secret that is listed comes to one outcome.
 * Rejects with ActionError when the walk can't be finished, and with the reason of the Api's signal; requests may be under way
 * then until the Api is closed.
 * Source: GuaranteedUpdate in k8s.io/apiserver/pkg/storage/etcd3/store.go
 */
export async function reencryptSecrets(options: ReencryptionOptions): Promise<void> {
  const { api, maxConcurrency, pageSize = 500, onListed, onOutcome, exact = false } = options
  const limit = new AdaptiveLimit({ most: maxConcurrency })
  let underWay = 0
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}

  const walk: Walk = {
    api,
    observer: {
      onAnswer: (latency) => limit.onAnswer(latency, underWay),
      onFailure: (failure) => limit.onFailure(failure)
    }
  }
  const reencrypt = exact ? patchExactly : patch
  const settle = async (page: SecretPage, name: string): Promise<void> => {
    underWay++
    try {
      onOutcome(await reencrypt(walk, page, name))
    } catch (error) {
      failure ??= { error }
    }
    underWay--
    wake()
  }
  const untilUnderWay = async (most: number): Promise<void> => {
    while (failure === undefined && underWay > most) await new Promise<void>((resolve) => (wake = resolve))
  }
  const throwIfFailed = () => {
    if (failure !== undefined) throw failure.error
  }

  for await (const page of listSecrets(api, pageSize, limit.most)) {
    onListed?.(page.names.length)
    for (const name of page.names) {
      if (underWay >= limit.current) await untilUnderWay(limit.resumeAt)
      throwIfFailed()
      void settle(page, name)
    }
  }
  await untilUnderWay(0)
  throwIfFailed()
}

type Secret = Pick<SecretVersion, 'namespace' | 'name'>

async function patch({ api, observer }: Walk, page: SecretPage, name: string): Promise<SecretOutcome> {
  const secret = { namespace: page.namespace, name }
  const result = await api.attempt(emptyPatch(pathOf(secret)), observer)
  const version = versionOf(result)
  if (version === undefined) return await outcomeWithoutVersion(api, result, secret)
  return outcomeAt(secret, version, isNewer(version, page.resourceVersion))
}

async function patchExactly({ api, observer }: Walk, page: SecretPage, name: string): Promise<SecretOutcome> {
  const secret = { namespace: page.namespace, name }
  const path = pathOf(secret)
  let lost = false
  const patchObserver: AttemptObserver = {
    onAnswer: (latency) => observer.onAnswer(latency),
    onFailure(failure) {
      lost = true
      observer.onFailure(failure)
    }
  }
  for (let overtakings = 0; ; overtakings++) {
    const found = await api.attempt(emptyPatch(path, '&dryRun=All'), observer)
    const before = versionOf(found)
    if (before === undefined) return await outcomeWithoutVersion(api, found, secret)
    const result = await api.attempt(patchAt(path, before), patchObserver)
    const version = versionOf(result)
    // What overtook may be this walk's own patch, of which the answer was lost.
    if (version !== undefined) return outcomeAt(secret, version, isNewer(version, before) || (overtakings > 0 && lost))
    if (!wasOvertaken(result) || overtakings === MOST_OVERTAKINGS) {
      return await outcomeWithoutVersion(api, result, secret)
    }
  }
}

function outcomeAt({ namespace, name }: Secret, resourceVersion: string, written: boolean): SecretOutcome {
  return { kind: written ? 're-encrypted' : 'already-current', namespace, name, resourceVersion }
}

export function pathOf({ namespace, name }: Secret): string {
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
export function wasOvertaken(result: Result): boolean {
  return !(result instanceof TransportError) && result.status === 422 && causesOf(statusOf(result).details) === ''
}

/** Of the Secret that an answer is about; undefined when it is about none. */
export function versionOf(result: Result): string | undefined {
  return result instanceof TransportError || result.status !== 200 ? undefined : readResourceVersion(result)
}

async function outcomeWithoutVersion(api: Api, result: Result, { namespace, name }: Secret): Promise<SecretOutcome> {
  if (isGone(result)) return { kind: 'gone', namespace }
  await throwIfWhole(api, result, namespace)
  return { kind: 'failed', namespace, name, ...classify(result) }
}

/** In the API server's own words: a proxy's 404 says nothing of a Secret. */
function isGone(result: Result): boolean {
  return !(result instanceof TransportError) && result.status === 404 && statusOf(result).reason === 'NotFound'
}

/** What stands in the way of every Secret is not the failure of one. */
async function throwIfWhole(api: Api, result: Result, namespace: string): Promise<void> {
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

function classify(result: Result): {
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
