import { asObject, asText, type JsonObject } from '../model/json.ts'
import { patiently, type GitHubClient } from './client.ts'
import { ownLogin } from './identity.ts'

export interface Comment {
  readonly id: number
  readonly nodeId: string
  readonly url: string
  readonly body: string
}

/** The first comment on an issue or pull request that begins with the marker and was written by `login`. */
export async function findComment(
  client: GitHubClient,
  number: number,
  marker: string,
  login: string
): Promise<Comment | undefined> {
  const route = 'GET /repos/{owner}/{repo}/issues/{issue_number}/comments'
  for await (const entry of client.list(route, { issue_number: number }, `list the comments of #${String(number)}`)) {
    const comment = commentOf(entry)
    if (asText(asObject(entry['user'])['login']) === login && comment.body.startsWith(marker)) return comment
  }
  return undefined
}

/** Creates the comment that begins with the marker, or gives the one that is there this body. */
export async function putComment(
  client: GitHubClient,
  signal: AbortSignal,
  { number, marker, body }: { readonly number: number; readonly marker: string; readonly body: string }
): Promise<Comment> {
  return await patiently(signal, async () => {
    const present = await findComment(client, number, marker, await ownLogin(client))
    if (present === undefined) return await addComment(client, number, body)
    const route = 'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}'
    return commentOf(
      await client.send(route, { comment_id: present.id, body }, `update the comment on #${String(number)}`)
    )
  })
}

export async function addComment(client: GitHubClient, number: number, body: string): Promise<Comment> {
  const route = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments'
  return commentOf(await client.send(route, { issue_number: number, body }, `comment on #${String(number)}`))
}

function commentOf(entry: unknown): Comment {
  const comment: JsonObject = asObject(entry)
  return {
    id: Number(comment['id']),
    nodeId: asText(comment['node_id']),
    url: asText(comment['html_url']),
    body: asText(comment['body'])
  }
}
