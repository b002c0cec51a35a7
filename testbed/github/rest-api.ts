import { randomBytes } from 'node:crypto'
import { isJsonObject, textAt, type JsonObject } from '../azure/json.ts'
import type { Network, WireAnswer, WireReply, WireRequest } from '../network.ts'

/** What a token of the bed may do; `GITHUB_TOKEN` has what the job's `permissions:` say. */
export type TokenPermissions = Readonly<Partial<Record<'contents' | 'issues' | 'pull-requests', 'read' | 'write'>>>

export interface TokenOptions {
  /** As whom it writes; an app's ends in `[bot]`. */
  readonly login?: string
  readonly permissions?: TokenPermissions
}

export interface StoredComment {
  readonly id: number
  readonly body: string
  readonly login: string
  /** Who changed it last; undefined where nobody did. */
  readonly editor: string | undefined
}

export interface StoredIssue {
  readonly number: number
  readonly title: string
  readonly body: string
  readonly state: 'open' | 'closed'
  readonly labels: readonly string[]
  readonly login: string
}

/** GitHub's API of one repository, at `api.github.com`: pull requests, issues, comments. Shapes from docs.github.com/rest. */
export interface GitHubApi {
  /** `OWNER/NAME` */
  readonly repository: string
  /** What the runner puts into the environment of a step. */
  readonly environment: Readonly<Record<'GITHUB_API_URL' | 'GITHUB_GRAPHQL_URL', string>>
  createToken(options?: TokenOptions): string
  /** An open pull request of a branch; gives its number. */
  addPullRequest(options?: { readonly headSha?: string }): number
  /** `sha`: the commit that the merge made on the base branch. */
  mergePullRequest(number: number, sha: string): void
  /** Closes a pull request without merging it; its head stays a commit that is known. */
  closePullRequest(number: number): void
  /** A commit that came by no pull request. */
  addCommit(sha: string): void
  addIssue(issue: Pick<StoredIssue, 'title' | 'body' | 'login'>): number
  /** As somebody does in the browser, whoever wrote it. */
  setIssueState(number: number, state: StoredIssue['state']): void
  issues(): readonly StoredIssue[]
  /** Of an issue or a pull request, oldest first. */
  comments(number: number): readonly StoredComment[]
  addComment(number: number, comment: { readonly login: string; readonly body: string }): number
  /** As somebody does in the browser, whoever wrote it. */
  editComment(id: number, edit: { readonly login: string; readonly body: string }): void
  /** Answers the next requests that fit with this failure, in place of doing what they ask. */
  failNext(times: number, failure: WireReply, fits?: (request: WireRequest) => boolean): void
  /** Every request, oldest first. */
  readonly requests: readonly { readonly method: string; readonly path: string; readonly status: number }[]
}

interface Thread {
  readonly number: number
  readonly pullRequest: { readonly headSha: string; merged: string | undefined } | undefined
  readonly login: string
  title: string
  body: string
  state: 'open' | 'closed'
  labels: readonly string[]
  readonly createdAt: string
  updatedAt: string
}

interface Comment {
  readonly id: number
  readonly thread: number
  readonly login: string
  body: string
  editor: string | undefined
  readonly createdAt: string
  updatedAt: string
}

/** Source: docs.github.com/rest/issues; GitHub counts characters. */
const LONGEST_BODY = 65_536

export function startGitHubApi(network: Network, repository = 'octo-org/platform'): GitHubApi {
  const tokens = new Map<string, Required<TokenOptions>>()
  const threads: Thread[] = []
  const comments: Comment[] = []
  const commits = new Set<string>()
  const failures: { readonly answer: WireReply; readonly fits: (request: WireRequest) => boolean }[] = []
  const requests: { method: string; path: string; status: number }[] = []

  const threadOf = (number: number): Thread | undefined => threads.find((thread) => thread.number === number)
  const commentOf = (id: number): Comment | undefined => comments.find((comment) => comment.id === id)

  const open = (thread: Pick<Thread, 'pullRequest' | 'login' | 'title' | 'body' | 'labels'>): Thread => {
    const now = new Date().toISOString()
    const opened: Thread = { ...thread, number: threads.length + 1, state: 'open', createdAt: now, updatedAt: now }
    threads.push(opened)
    return opened
  }

  const comment = (thread: number, login: string, body: string): Comment => {
    const now = new Date().toISOString()
    const id = 1_900_000_000 + comments.length
    const made: Comment = { id, thread, login, body, editor: undefined, createdAt: now, updatedAt: now }
    comments.push(made)
    return made
  }

  const edit = (edited: Comment, login: string, body: string): void => {
    Object.assign(edited, { body, editor: login, updatedAt: new Date().toISOString() })
  }

  const answer = (request: WireRequest): WireAnswer => {
    const { method, path, query } = request
    const token = tokens.get(/^(?:token|bearer) (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '')
    if (token === undefined) return problem(401, 'Bad credentials')
    if (path === '/graphql' && method === 'POST') return graphql(token.login, bodyOf(request))
    const prefix = `/repos/${repository}/`
    if (!path.toLowerCase().startsWith(prefix.toLowerCase())) return problem(404, 'Not Found')
    const rest = path.slice(prefix.length)
    const may = (level: 'read' | 'write', ...names: (keyof TokenPermissions)[]): boolean =>
      names.some((name) => token.permissions[name] === 'write' || token.permissions[name] === level)

    const pulls = /^commits\/([^/]+)\/pulls$/.exec(rest)
    if (pulls !== null && method === 'GET') {
      if (!may('read', 'pull-requests')) return notAccessible()
      const sha = decodeURIComponent(pulls[1] ?? '')
      if (!commits.has(sha)) return problem(422, `No commit found for SHA: ${sha}`)
      const associated = threads.filter(
        ({ pullRequest }) => pullRequest?.merged === sha || pullRequest?.headSha === sha
      )
      return page(request, associated.map(pullRequestJson))
    }

    const thread = /^issues\/(\d+)(\/comments)?$/.exec(rest)
    if (thread !== null) {
      const found = threadOf(Number(thread[1]))
      if (found === undefined) return problem(404, 'Not Found')
      const rights: (keyof TokenPermissions)[] =
        found.pullRequest === undefined ? ['issues'] : ['issues', 'pull-requests']
      if (!may(method === 'GET' ? 'read' : 'write', ...rights)) return notAccessible()
      if (thread[2] === undefined)
        return method === 'PATCH' ? patchThread(found, bodyOf(request)) : problem(404, 'Not Found')
      if (method === 'GET') {
        return page(request, comments.filter((one) => one.thread === found.number).map(commentJson))
      }
      const body = textAt(bodyOf(request), 'body')
      return (
        tooLong('IssueComment', body) ?? { status: 201, body: commentJson(comment(found.number, token.login, body)) }
      )
    }

    const one = /^issues\/comments\/(\d+)$/.exec(rest)
    if (one !== null && method === 'PATCH') {
      const found = commentOf(Number(one[1]))
      if (found === undefined) return problem(404, 'Not Found')
      if (!may('write', 'issues', 'pull-requests')) return notAccessible()
      const body = textAt(bodyOf(request), 'body')
      const refused = tooLong('IssueComment', body)
      if (refused !== undefined) return refused
      edit(found, token.login, body)
      return { status: 200, body: commentJson(found) }
    }

    if (rest === 'issues' && method === 'GET') {
      if (!may('read', 'issues')) return notAccessible()
      const state = query.get('state') ?? 'open'
      const creator = query.get('creator')
      const listed = threads
        .filter((issue) => state === 'all' || issue.state === state)
        .filter((issue) => creator === null || issue.login === creator)
      return page(request, (query.get('direction') === 'asc' ? listed : listed.toReversed()).map(issueJson))
    }
    if (rest === 'issues' && method === 'POST') {
      if (!may('write', 'issues')) return notAccessible()
      const { labels, ...wanted } = bodyOf(request)
      const body = textAt(wanted, 'body')
      const names = Array.isArray(labels) ? labels.filter((label) => typeof label === 'string') : []
      const made = { pullRequest: undefined, login: token.login, title: textAt(wanted, 'title'), body, labels: names }
      return tooLong('Issue', body) ?? { status: 201, body: issueJson(open(made)) }
    }
    return problem(404, 'Not Found')
  }

  const patchThread = (thread: Thread, changes: JsonObject): WireAnswer => {
    const refused = tooLong('Issue', textAt(changes, 'body'))
    if (refused !== undefined) return refused
    if (typeof changes['title'] === 'string') thread.title = changes['title']
    if (typeof changes['body'] === 'string') thread.body = changes['body']
    if (changes['state'] === 'open' || changes['state'] === 'closed') thread.state = changes['state']
    thread.updatedAt = new Date().toISOString()
    return { status: 200, body: issueJson(thread) }
  }

  /** Knows the one query that asks who the token is, and with an id who edited that comment. */
  const graphql = (login: string, { query, variables }: JsonObject): WireAnswer => {
    if (typeof query !== 'string' || !/\bviewer\s*\{\s*login\s*\}/.test(query)) {
      return { status: 200, body: { errors: [{ type: 'UNKNOWN', message: 'The test bed does not know this query.' }] } }
    }
    const id = isJsonObject(variables) ? textAt(variables, 'id') : ''
    if (id === '') return { status: 200, body: { data: { viewer: { login } } } }
    const found = comments.find((one) => nodeId(one.id) === id)
    if (found === undefined) {
      const message = `Could not resolve to a node with the global id of '${id}'`
      return {
        status: 200,
        body: { data: { viewer: { login }, node: null }, errors: [{ type: 'NOT_FOUND', message }] }
      }
    }
    return {
      status: 200,
      body: { data: { viewer: { login }, node: { editor: found.editor === undefined ? null : actor(found.editor) } } }
    }
  }

  const page = ({ query, path }: WireRequest, all: readonly unknown[]): WireAnswer => {
    const size = Math.min(Number(query.get('per_page') ?? 30), 100)
    const number = Number(query.get('page') ?? 1)
    const last = Math.max(Math.ceil(all.length / size), 1)
    const link = (to: number, rel: string): string => {
      const parameters = new URLSearchParams(query)
      parameters.set('page', String(to))
      return `<https://api.github.com${path}?${String(parameters)}>; rel="${rel}"`
    }
    const links = number < last ? [link(number + 1, 'next'), link(last, 'last')] : []
    const headers: Record<string, string> = links.length === 0 ? {} : { link: links.join(', ') }
    return { status: 200, headers, body: all.slice((number - 1) * size, number * size) }
  }

  network.serve('api.github.com', (request) => {
    const failing = failures.findIndex(({ fits }) => fits(request))
    const reply = failing < 0 ? answer(request) : (failures.splice(failing, 1)[0]?.answer ?? answer(request))
    const status = reply === 'reset' ? 0 : reply.status
    requests.push({ method: request.method, path: request.path, status })
    return reply
  })

  const issueJson = (thread: Thread): JsonObject => ({
    id: 2_000_000_000 + thread.number,
    node_id: `I_${thread.number}`,
    url: `https://api.github.com/repos/${repository}/issues/${thread.number}`,
    html_url: `https://github.com/${repository}/${thread.pullRequest === undefined ? 'issues' : 'pull'}/${thread.number}`,
    number: thread.number,
    title: thread.title,
    body: thread.body,
    state: thread.state,
    labels: thread.labels.map((name) => ({ name })),
    user: user(thread.login),
    created_at: thread.createdAt,
    updated_at: thread.updatedAt,
    ...(thread.pullRequest && {
      pull_request: { url: `https://api.github.com/repos/${repository}/pulls/${thread.number}` }
    })
  })

  const pullRequestJson = (thread: Thread): JsonObject => ({
    url: `https://api.github.com/repos/${repository}/pulls/${thread.number}`,
    html_url: `https://github.com/${repository}/pull/${thread.number}`,
    number: thread.number,
    state: thread.state,
    title: thread.title,
    user: user(thread.login),
    merged_at: thread.pullRequest?.merged === undefined ? null : thread.updatedAt,
    merge_commit_sha: thread.pullRequest?.merged ?? null,
    head: { sha: thread.pullRequest?.headSha ?? '', ref: 'change', repo: { full_name: repository } },
    base: { ref: 'main', repo: { full_name: repository } }
  })

  const commentJson = (one: Comment): JsonObject => ({
    id: one.id,
    node_id: nodeId(one.id),
    url: `https://api.github.com/repos/${repository}/issues/comments/${one.id}`,
    html_url: `https://github.com/${repository}/pull/${one.thread}#issuecomment-${one.id}`,
    issue_url: `https://api.github.com/repos/${repository}/issues/${one.thread}`,
    body: one.body,
    user: user(one.login),
    created_at: one.createdAt,
    updated_at: one.updatedAt,
    author_association: 'CONTRIBUTOR'
  })

  return {
    repository,
    environment: { GITHUB_API_URL: 'https://api.github.com', GITHUB_GRAPHQL_URL: 'https://api.github.com/graphql' },
    createToken({ login = 'github-actions[bot]', permissions = {} } = {}) {
      const token = `ghs_${randomBytes(18).toString('hex')}`
      tokens.set(token, { login, permissions })
      return token
    },
    addPullRequest({ headSha = randomBytes(20).toString('hex') } = {}) {
      commits.add(headSha)
      const pullRequest = { headSha, merged: undefined }
      return open({ pullRequest, login: 'mona', title: 'Change the key', body: '', labels: [] }).number
    },
    mergePullRequest(number, sha) {
      const thread = threadOf(number)
      if (thread?.pullRequest === undefined) throw new Error(`${number} is no pull request.`)
      commits.add(sha)
      thread.pullRequest.merged = sha
      thread.state = 'closed'
    },
    closePullRequest(number) {
      const thread = threadOf(number)
      if (thread?.pullRequest === undefined) throw new Error(`${number} is no pull request.`)
      thread.state = 'closed'
    },
    addCommit(sha) {
      commits.add(sha)
    },
    addIssue: (issue) => open({ ...issue, pullRequest: undefined, labels: [] }).number,
    setIssueState(number, state) {
      const thread = threadOf(number)
      if (thread !== undefined) thread.state = state
    },
    issues: () =>
      threads
        .filter(({ pullRequest }) => pullRequest === undefined)
        .map(({ number, title, body, state, labels, login }) => ({ number, title, body, state, labels, login })),
    comments: (number) =>
      comments
        .filter(({ thread }) => thread === number)
        .map(({ id, body, login, editor }) => ({ id, body, login, editor })),
    addComment: (number, { login, body }) => comment(number, login, body).id,
    editComment(id, { login, body }) {
      const found = commentOf(id)
      if (found === undefined) throw new Error(`There is no comment ${id}.`)
      edit(found, login, body)
    },
    failNext(times, failure, fits = () => true) {
      for (let i = 0; i < times; i++) failures.push({ answer: failure, fits })
    },
    requests
  }
}

function problem(status: number, message: string, more: JsonObject = {}): WireAnswer {
  return {
    status,
    body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status), ...more }
  }
}

function notAccessible(): WireAnswer {
  return problem(403, 'Resource not accessible by integration')
}

function tooLong(resource: string, body: string): WireAnswer | undefined {
  if (Array.from(body).length <= LONGEST_BODY) return undefined
  const message = `body is too long (maximum is ${LONGEST_BODY} characters)`
  return problem(422, 'Validation Failed', { errors: [{ resource, code: 'custom', field: 'body', message }] })
}

function nodeId(comment: number): string {
  return `IC_${comment}`
}

function user(login: string): JsonObject {
  return { login, type: login.endsWith('[bot]') ? 'Bot' : 'User', html_url: `https://github.com/${login}` }
}

/** GraphQL has the login of an app's bot without REST's `[bot]`. */
function actor(login: string): JsonObject {
  const bot = login.endsWith('[bot]')
  return { __typename: bot ? 'Bot' : 'User', login: bot ? login.slice(0, -'[bot]'.length) : login }
}

function bodyOf({ text }: WireRequest): JsonObject {
  const body: unknown = text === '' ? {} : JSON.parse(text)
  return isJsonObject(body) ? body : {}
}
