import { docsUrl, environment, eventPullRequest } from './environment.ts'
import { toActionError } from './errors.ts'
import { createGitHubClient } from './github/client.ts'
import { putComment } from './github/comments.ts'
import { planMarker } from './model/approved-plan.ts'
import type { RunReport } from './model/report.ts'
import { renderComment } from './report/comment.ts'

/** How long GitHub is tried for a comment, in milliseconds. */
const PATIENCE = 120_000

export interface PlanComment {
  /** Empty where none was written. */
  readonly url: string
  readonly level: 'info' | 'notice' | 'warning'
  readonly title: string
  readonly message: string
}

/** Puts a dry run's plan on the pull request of the event. Never throws: what keeps it from that turns no run red. */
export async function commentPlan(report: RunReport, token: string): Promise<PlanComment | undefined> {
  // A run whose inputs can't be used knows no cluster that the comment could be about.
  if (!report.dryRun || report.result === 'cancelled') return undefined
  const pullRequest = eventPullRequest()
  if (pullRequest === undefined) {
    const message = `There is no pull request to comment on: the event is “${environment('GITHUB_EVENT_NAME')}”.`
    return { url: '', level: 'info', title: '', message }
  }
  const signal = AbortSignal.timeout(PATIENCE)
  try {
    const client = createGitHubClient({ token, repository: environment('GITHUB_REPOSITORY'), signal })
    const { url } = await putComment(client, signal, {
      number: pullRequest.number,
      marker: planMarker(report.operation, report.cluster),
      body: renderComment(report, { docsUrl: docsUrl(), commit: pullRequest.headSha })
    })
    return { url, level: 'info', title: '', message: `The plan is in ${url}` }
  } catch (error) {
    const { code, message, fix } = toActionError(error)
    const title = `The plan is not on the pull request: ${code}`
    const because = pullRequest.readOnlyToken
    return code === 'github-forbidden' && because !== undefined
      ? {
          url: '',
          level: 'notice',
          title,
          message: `${message} ${READ_ONLY[because]} What it found is in the job summary.`
        }
      : { url: '', level: 'warning', title, message: `${message}\nFix: ${fix}` }
  }
}

const READ_ONLY = {
  fork: 'The pull request comes from a fork, for which GitHub’s token may only read.',
  dependabot: 'The pull request is Dependabot’s, for which GitHub’s token may only read.'
} as const
