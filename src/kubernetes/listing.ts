import { ActionError, type Code } from '../errors.ts'
import { refusalOf, statusOf, type Api } from './api.ts'
import { TransportError } from './transport.ts'
import { readNames, TABLE_ONLY, WITHOUT_OBJECTS, type NamePage } from './table.ts'

/** Some Secrets of one namespace, and the state of etcd that they were listed at. */
export interface SecretPage {
  readonly namespace: string
  readonly names: readonly string[]
  readonly resourceVersion: string
}

/**
 * Namespaces listed ahead: more where they have few Secrets each, so that there are always names to go on with. What one list
 * holds is not known beforehand, so even few of them may be much.
 */
const LEAST_AHEAD = 16
const MOST_AHEAD = 64
const NAMES_AHEAD = 200
/** Answers in a row that a list has expired. */
const MOST_EXPIRIES = 5

/**
 * Every Secret of the cluster by name, in pages that are fetched ahead of their use.
 * A list that can't be read to its end throws ActionError: there is no partial listing.
 * @param atOnce - lists under way at once, at most.
 */
export async function* listSecrets(
  api: Pick<Api, 'request'>,
  pageSize: number,
  atOnce = Infinity
): AsyncGenerator<SecretPage, void> {
  const seen = new Set<string>()
  const met = { pages: 0, names: 0 }
  const ahead = (): number => {
    const needed = met.pages === 0 ? LEAST_AHEAD : NAMES_AHEAD / (met.names / met.pages)
    return Math.min(atOnce, MOST_AHEAD, Math.max(LEAST_AHEAD, needed))
  }
  for (;;) {
    const namespaces: string[] = []
    for await (const page of pages(api, '/api/v1/namespaces', 500, 'list the namespaces')) {
      namespaces.push(...page.names.filter((name) => !seen.has(name)))
    }
    // Namespaces that appeared meanwhile are walked too, until a look around finds none.
    if (namespaces.length === 0) return
    for (const namespace of namespaces) seen.add(namespace)
    yield* concatenate(namespaces, ahead, (namespace) => secretsOf(api, namespace, pageSize, met))
  }
}

/**
 * About how many Secrets there are, by the API server's own count; undefined where it can't be had, such as for an identity that
 * may list Secrets in some namespaces only. It is for people, and nothing is decided by it.
 */
export async function estimateSecrets(api: Pick<Api, 'attempt' | 'unreachable'>): Promise<number | undefined> {
  const path = `/api/v1/secrets?limit=1&${WITHOUT_OBJECTS}`
  const answer = await api.attempt({ method: 'GET', path, headers: { accept: TABLE_ONLY } })
  if (answer instanceof TransportError) throw api.unreachable(answer)
  const page = answer.status === 200 ? readNames(answer) : undefined
  return page && page.names.length + page.remaining
}

async function* secretsOf(
  api: Pick<Api, 'request'>,
  namespace: string,
  pageSize: number,
  met: { pages: number; names: number }
): AsyncGenerator<SecretPage, void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`
  const doing = `list the Secrets of namespace ${namespace}`
  for await (const { names, resourceVersion } of pages(api, path, pageSize, doing)) {
    met.pages++
    met.names += names.length
    if (names.length > 0) yield { namespace, names, resourceVersion }
  }
}

/**
 * The pages of one list. etcd forgets the state that a list was begun at after some minutes; then it goes on from the same
 * name at the present state, which misses nothing that was there from the beginning.
 * Source: kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
async function* pages(
  api: Pick<Api, 'request'>,
  path: string,
  pageSize: number,
  doing: string
): AsyncGenerator<NamePage, void> {
  let continueToken = ''
  let last = ''
  let expiries = 0
  for (;;) {
    const from = continueToken === '' ? '' : `&continue=${encodeURIComponent(continueToken)}`
    const answer = await api.request(
      { method: 'GET', path: `${path}?limit=${pageSize}&${WITHOUT_OBJECTS}${from}`, headers: { accept: TABLE_ONLY } },
      { doing, forbidden: 'secrets-forbidden', failed: LISTING_FAILED }
    )
    if (answer.status === 410 && ++expiries <= MOST_EXPIRIES) {
      continueToken = statusOf(answer).continueToken
      continue
    }
    if (answer.status !== 200) throw new ActionError(LISTING_FAILED, refusalOf(doing, answer))
    const page = readNames(answer)
    if (page === undefined) {
      throw new ActionError(LISTING_FAILED, `The API server’s answer is not the table that was asked for, to ${doing}.`)
    }
    expiries = 0
    // A list that had to begin again repeats names; they come in order.
    const names = page.names.filter((name) => name > last)
    last = names.at(-1) ?? last
    yield { ...page, names }
    if (page.continueToken === '') return
    if (page.continueToken === continueToken) {
      throw new ActionError(LISTING_FAILED, `The API server gave the same page twice when asked to ${doing}.`)
    }
    continueToken = page.continueToken
  }
}

const LISTING_FAILED: Code = 'secrets-listing-failed'

/** The sequences one after the other, of which the next few are already begun, and each fetches one value ahead. */
async function* concatenate<Key, Value>(
  keys: readonly Key[],
  ahead: () => number,
  begin: (key: Key) => AsyncGenerator<Value, void>
): AsyncGenerator<Value, void> {
  const waiting = keys.values()
  const begun: { readonly values: AsyncGenerator<Value, void>; next: Promise<IteratorResult<Value, void>> }[] = []
  for (;;) {
    while (begun.length < ahead()) {
      const key = waiting.next()
      if (key.done === true) break
      const values = begin(key.value)
      begun.push({ values, next: fetchNext(values) })
    }
    const [head] = begun
    if (head === undefined) return
    const result = await head.next
    if (result.done === true) begun.shift()
    else {
      head.next = fetchNext(head.values)
      yield result.value
    }
  }
}

/** A failure is thrown where it is awaited; until then it is nobody's unhandled rejection. */
function fetchNext<Value>(values: AsyncGenerator<Value, void>): Promise<IteratorResult<Value, void>> {
  const next = values.next()
  next.catch(() => {})
  return next
}
