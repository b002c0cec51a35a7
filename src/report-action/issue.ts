import { addComment } from '../github/comments.ts'
import { patiently, type GitHubClient } from '../github/client.ts'
import { ownLogin } from '../github/identity.ts'
import { findIssue, openIssue, updateIssue, type Issue } from '../github/issues.ts'
import { failedOf, type Fleet } from '../model/fleet.ts'
import { closingComment, failedIn, issueMarker, newlyFailedComment, renderIssue } from '../report/fleet/issue.ts'
import type { FleetSummaryOptions } from '../report/fleet/summary.ts'

export interface IssueWish {
  /** Also what tells the issues of several fleets in one repository apart. */
  readonly title: string
  readonly labels: readonly string[]
}

/**
 * Keeps one issue per title: opened with the first failure, brought up to date as long as there are any, closed when there are none. Gives
 * its url; undefined where nothing failed and none was open. Throws ActionError `github-forbidden` or `github-request-failed`.
 */
export async function keepIssue(
  client: GitHubClient,
  signal: AbortSignal,
  fleet: Fleet,
  { title, labels }: IssueWish,
  options: FleetSummaryOptions
): Promise<string | undefined> {
  return await patiently(signal, async () => {
    const present = await findIssue(client, issueMarker(title), await ownLogin(client))
    if (failedOf(fleet).length === 0) return present && (await close(client, present, fleet, options))
    const body = renderIssue(fleet, title, options)
    if (present === undefined) return (await openIssue(client, { title, body, labels })).url
    const known = failedIn(present.body)
    await updateIssue(client, present.number, { body })
    // Whoever follows the issue is told of a comment, but not of an edit.
    const fresh = failedOf(fleet).filter(({ name }) => !known.includes(name))
    if (fresh.length > 0) await addComment(client, present.number, newlyFailedComment(fresh, options))
    return present.url
  })
}

async function close(client: GitHubClient, issue: Issue, fleet: Fleet, options: FleetSummaryOptions): Promise<string> {
  await addComment(client, issue.number, closingComment(fleet, options))
  return (await updateIssue(client, issue.number, { state: 'closed', state_reason: 'completed' })).url
}
