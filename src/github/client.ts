import { ActionError, toActionError } from '../errors.ts'
import { asText, isJsonObject, type JsonObject } from '../model/json.ts'
import { pause } from '../pause.ts'

export interface GitHubOptions {
  /** Empty: there is none. */
  readonly token: string
  /** `OWNER/NAME` */
  readonly repository: string
  readonly signal: AbortSignal
}

/** GitHub's API for one repository. */
export interface GitHubClient {
  /** The answer's body. `route` such as `GET /repos/{owner}/{repo}/issues`; `doing` as in “GitHub refused to <doing>”. */
  send(route: string, parameters: Readonly<Record<string, unknown>>, doing: string): Promise<unknown>
  /** Every entry of a list, page by page. */
  list(route: string, parameters: Readonly<Record<string, unknown>>, doing: string): AsyncGenerator<JsonObject, void>
  /** `data` of the answer. Source: docs.github.com/graphql */
  query(query: string, variables: Readonly<Record<string, unknown>>, doing: string): Promise<JsonObject>
}

/** Source: docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api */
const PAGE_SIZE = 100
/** Ten thousand entries: a list that is longer never ends. */
const MOST_PAGES = 100

/**
 * Throws ActionError `github-forbidden` where the token lacks a right, and `github-request-failed` for everything else. The client
 * of @actions/github knows the runner's proxy, `GITHUB_API_URL` and the orchestration id; it is loaded at the first request.
 */
export function createGitHubClient({ token, repository, signal }: GitHubOptions): GitHubClient {
  const [owner = '', repo = ''] = repository.split('/')

  async function octokit() {
    if (token === '') throw new ActionError('github-forbidden', 'The input github-token is empty.')
    const { GitHub, getOctokitOptions } = await import('@actions/github/lib/utils')
    // What went wrong is told by whoever asked.
    const quiet = { debug() {}, info() {}, warn() {}, error() {} }
    return new GitHub(getOctokitOptions(token, { log: quiet }))
  }
  const client = { promise: undefined as ReturnType<typeof octokit> | undefined }
  const connected = (): ReturnType<typeof octokit> => (client.promise ??= octokit())

  async function send(route: string, parameters: Readonly<Record<string, unknown>>, doing: string): Promise<unknown> {
    const { request } = await connected()
    return await told(doing, async () => {
      const answer = await request(route, { owner, repo, ...parameters, request: { signal } })
      return answer.data as unknown
    })
  }

  return {
    send,
    async *list(route, parameters, doing) {
      for (let page = 1; page <= MOST_PAGES; page++) {
        const entries = await send(route, { ...parameters, per_page: PAGE_SIZE, page }, doing)
        if (!Array.isArray(entries))
          throw new ActionError('github-request-failed', `GitHub gave no list when asked to ${doing}.`)
        yield* entries.filter(isJsonObject)
        if (entries.length < PAGE_SIZE) return
      }
    },
    async query(query, variables, doing) {
      const { graphql } = await connected()
      const data: unknown = await told(doing, () => graphql(query, { ...variables, request: { signal } }))
      return isJsonObject(data) ? data : {}
    }
  }

  /** What GitHub refused or failed to do, in words. */
  async function told<T>(doing: string, send: () => Promise<T>): Promise<T> {
    try {
      return await send()
    } catch (error) {
      signal.throwIfAborted()
      const failure = readFailure(error)
      const status = failure.status === undefined ? '' : ` (HTTP ${String(failure.status)})`
      const refused = failure.status === 401 || failure.status === 403 || failure.status === 404
      throw failure.retryAfter === undefined && refused
        ? new ActionError('github-forbidden', `GitHub refused to ${doing}: ${failure.message}${status}.`, {
            cause: error
          })
        : new ActionError('github-request-failed', `GitHub failed to ${doing}: ${failure.message}${status}.`, {
            cause: error
          })
    }
  }
}

interface Failure {
  /** Undefined when there was no answer. */
  readonly status: number | undefined
  readonly message: string
  /** In milliseconds; undefined where trying again is no use. */
  readonly retryAfter: number | undefined
}

/** An error of Octokit: with the answer where there was one. */
function readFailure(error: unknown): Failure {
  const { message } = toActionError(error)
  if (!(error instanceof Error) || !('response' in error) || !isJsonObject(error.response)) {
    return { status: undefined, message: message.split('\n')[0] ?? '', retryAfter: 0 }
  }
  const { response } = error
  const headers = isJsonObject(response['headers']) ? response['headers'] : {}
  const status = typeof response['status'] === 'number' ? response['status'] : 0
  const said = isJsonObject(response['data']) ? asText(response['data']['message']) : ''
  return { status, message: (said || message).replace(/\.$/, ''), retryAfter: retryAfterOf(status, headers) }
}

/** Source: docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately */
function retryAfterOf(status: number, headers: JsonObject): number | undefined {
  const seconds = Number(headers['retry-after'] ?? NaN)
  if (!Number.isNaN(seconds)) return seconds * 1000
  if (headers['x-ratelimit-remaining'] === '0')
    return Math.max(Number(headers['x-ratelimit-reset']) * 1000 - Date.now(), 0)
  return status === 429 || status >= 500 || status === 0 ? 0 : undefined
}

const MOST_ATTEMPTS = 4
const FIRST_DELAY_MS = 500
/** What GitHub asks for beyond it is too long for a comment. */
const LONGEST_DELAY_MS = 60_000

/**
 * Does something over again that GitHub failed at for the moment. `attempt` begins by looking, so that what an answer that was lost
 * has made is found and not made twice.
 */
export async function patiently<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt()
    } catch (error) {
      const wait =
        error instanceof ActionError && error.code === 'github-request-failed'
          ? readFailure(error.cause).retryAfter
          : undefined
      if (wait === undefined || wait > LONGEST_DELAY_MS || tried === MOST_ATTEMPTS) throw error
      await pause(Math.max(wait, FIRST_DELAY_MS * 2 ** (tried - 1) * (0.5 + Math.random() / 2)), signal)
    }
  }
}
