import { ActionError } from '../errors.ts'
import { extractPlan, planMarker, type ApprovedPlan } from '../model/approved-plan.ts'
import { patiently, type GitHubClient } from './client.ts'
import { findComment } from './comments.ts'
import { editorOf, ownLogin } from './identity.ts'
import { pullRequestOfCommit, type EventPullRequest } from './pull-requests.ts'

export interface PlanSearch {
  readonly operation: string
  /** ARM id. */
  readonly cluster: string
  /** That of the event; undefined: that one which brought the commit. */
  readonly pullRequest: EventPullRequest | undefined
  readonly commit: string
}

/**
 * The plan in the comment of the pull request: what was shown there to those who approved it. A comment that somebody else wrote or
 * edited does not count. Throws ActionError `plan-not-found`, `github-forbidden` or `github-request-failed`.
 */
export async function findApprovedPlan(
  client: GitHubClient,
  signal: AbortSignal,
  search: PlanSearch
): Promise<ApprovedPlan> {
  return await patiently(signal, async () => {
    const { commit, operation, cluster } = search
    const number = search.pullRequest?.number ?? (await pullRequestOfCommit(client, commit))
    if (number === undefined) throw notFound(`The commit ${commit} was brought by no pull request.`)
    if (search.pullRequest?.abandoned === true)
      throw notFound(`Pull request #${String(number)} was closed without being merged.`)
    const login = await ownLogin(client)
    const comment = await findComment(client, number, planMarker(operation, cluster), login)
    if (comment === undefined) {
      throw notFound(
        `Pull request #${String(number)} has no comment by ${login} with a plan of \`${operation}\` for this cluster.`
      )
    }
    const editor = await editorOf(client, comment.nodeId)
    if (editor !== undefined && editor !== login) {
      throw notFound(`The plan in ${comment.url} was edited by ${editor}, so it does not count.`)
    }
    const plan = extractPlan(comment.body, comment.url)
    if (plan === undefined) throw notFound(`The comment ${comment.url} holds no plan: the run that wrote it made none.`)
    return plan
  })
}

function notFound(message: string): ActionError {
  return new ActionError('plan-not-found', message)
}
