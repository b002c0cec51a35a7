import { asObject, asText, type JsonObject } from '../model/json.ts'
import type { GitHubClient } from './client.ts'

/** The pull request that an event is about. */
export interface EventPullRequest {
  readonly number: number
  readonly headSha: string
  /** The event is of a fork or by Dependabot: the job's token may only read, and there is no ID token. */
  readonly readOnlyToken: 'fork' | 'dependabot' | undefined
  /** It was closed without being merged. */
  readonly abandoned: boolean
}

/** Source: docs.github.com/webhooks/webhook-events-and-payloads#pull_request */
export function pullRequestOfEvent(payload: JsonObject, repository: string): EventPullRequest | undefined {
  const pullRequest = asObject(payload['pull_request'])
  const number = pullRequest['number']
  if (typeof number !== 'number') return undefined
  const head = asObject(pullRequest['head'])
  const headRepository = asText(asObject(head['repo'])['full_name'])
  const sender = asText(asObject(payload['sender'])['login'])
  const fork = headRepository.toLowerCase() !== repository.toLowerCase()
  return {
    number,
    headSha: asText(head['sha']),
    readOnlyToken: fork ? 'fork' : sender === 'dependabot[bot]' ? 'dependabot' : undefined,
    abandoned: pullRequest['state'] === 'closed' && pullRequest['merged'] !== true
  }
}

/**
 * Number of the pull request that brought a commit to its branch; of several that one whose merge made the commit. Undefined where
 * none did.
 */
export async function pullRequestOfCommit(client: GitHubClient, sha: string): Promise<number | undefined> {
  const route = 'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls'
  const merged: JsonObject[] = []
  for await (const entry of client.list(route, { commit_sha: sha }, `find the pull request of the commit ${sha}`)) {
    if (entry['merged_at'] !== null) merged.push(entry)
  }
  const chosen = merged.find((entry) => entry['merge_commit_sha'] === sha) ?? merged[0]
  return typeof chosen?.['number'] === 'number' ? chosen['number'] : undefined
}
