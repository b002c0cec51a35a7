import { asObject, asText } from '../model/json.ts'
import type { GitHubClient } from './client.ts'

/** The login that the token writes as, as REST has it: `github-actions[bot]` for GITHUB_TOKEN, for which REST itself has no answer. */
export async function ownLogin(client: GitHubClient): Promise<string> {
  const data = await client.query('query { viewer { login } }', {}, 'tell whom the token belongs to')
  return asText(asObject(data['viewer'])['login'])
}

/** Whoever edited a comment last, its author included; undefined where nobody did. `nodeId` is its `node_id` in REST. */
export async function editorOf(client: GitHubClient, nodeId: string): Promise<string | undefined> {
  const query = `query($id: ID!) {
    viewer { login }
    node(id: $id) { ... on IssueComment { editor { __typename login } } }
  }`
  const data = await client.query(query, { id: nodeId }, 'tell who edited the comment')
  const editor = asObject(asObject(data['node'])['editor'])
  const login = asText(editor['login'])
  if (login === '') return undefined
  // GraphQL has the login of an app's bot without REST's suffix.
  return editor['__typename'] === 'Bot' && !login.endsWith('[bot]') ? `${login}[bot]` : login
}
