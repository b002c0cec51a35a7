import { asObject, asText, type JsonObject } from '../model/json.ts'
import type { GitHubClient } from './client.ts'

export interface Issue {
  readonly number: number
  readonly url: string
  readonly body: string
}

/** The open issue that begins with the marker and was opened by `login`; the oldest of several. */
export async function findIssue(client: GitHubClient, marker: string, login: string): Promise<Issue | undefined> {
  const route = 'GET /repos/{owner}/{repo}/issues'
  const parameters = { state: 'open', creator: login, sort: 'created', direction: 'asc' }
  for await (const entry of client.list(route, parameters, 'list the open issues')) {
    const isIssue = entry['pull_request'] === undefined
    if (isIssue && asText(asObject(entry['user'])['login']) === login && issueOf(entry).body.startsWith(marker)) {
      return issueOf(entry)
    }
  }
  return undefined
}

export async function openIssue(
  client: GitHubClient,
  issue: { readonly title: string; readonly body: string; readonly labels: readonly string[] }
): Promise<Issue> {
  return issueOf(await client.send('POST /repos/{owner}/{repo}/issues', { ...issue }, 'open an issue'))
}

export async function updateIssue(
  client: GitHubClient,
  number: number,
  changes: { readonly body?: string; readonly state?: 'closed'; readonly state_reason?: 'completed' }
): Promise<Issue> {
  const route = 'PATCH /repos/{owner}/{repo}/issues/{issue_number}'
  return issueOf(await client.send(route, { issue_number: number, ...changes }, `update issue #${String(number)}`))
}

function issueOf(entry: unknown): Issue {
  const issue: JsonObject = asObject(entry)
  return { number: Number(issue['number']), url: asText(issue['html_url']), body: asText(issue['body']) }
}
