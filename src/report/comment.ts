import { embedPlan, planMarker } from '../model/approved-plan.ts'
import { proofsIn, type Estimate } from '../model/estimate.ts'
import type { RunReport } from '../model/report.ts'
import { alert, bold, code, link, prose } from './markdown.ts'
import { findingsSection } from './sections/findings.ts'
import { planSteps } from './sections/plan.ts'
import { problemSection } from './sections/problem.ts'
import { blocks, type Limits } from './sections/section.ts'
import { verdict } from './sections/verdict.ts'
import { clip, formatNumber, isVault, plural } from './text.ts'

/** GitHub takes no longer body, in characters. Source: docs.github.com/rest/issues/comments */
const LONGEST_COMMENT = 65_536

const FULL: Limits = {
  visibleNamespaces: 0,
  namespaces: 0,
  failures: 20,
  findings: 20,
  clusters: 0,
  rows: 60,
  message: 1500,
  cell: 300
}
const SHORT: Limits = {
  visibleNamespaces: 0,
  namespaces: 0,
  failures: 3,
  findings: 2,
  clusters: 0,
  rows: 10,
  message: 300,
  cell: 150
}

export interface CommentOptions {
  /** Where the docs folder is served, without a slash at the end. */
  readonly docsUrl: string
  /** Head of the pull request; empty where it is not known. */
  readonly commit: string
}

/**
 * What a dry run says on a pull request: what will happen, what that means for the Secrets, how long it takes, and, not shown, the
 * plan itself, so that what is applied later can be compared with what was approved here.
 */
export function renderComment(report: RunReport, options: CommentOptions, longest = LONGEST_COMMENT): string {
  const full = render(report, options, FULL, '')
  if (full.length <= longest) return full
  const summary = report.run === undefined ? 'the job summary' : link('the job summary', report.run)
  return render(
    report,
    options,
    SHORT,
    `This is the short form, because the whole would not fit here. All of it is in ${summary}.`
  )
}

function render(report: RunReport, { docsUrl, commit }: CommentOptions, limits: Limits, note: string): string {
  const context = { docsUrl, limits }
  return `${blocks(
    planMarker(report.operation, report.cluster),
    verdict(report, context),
    problemSection(report, context),
    findingsSection(report, context),
    planOf(report, limits, docsUrl),
    note,
    `<sub>${origin(report, commit)}</sub>`,
    report.plan === undefined ? '' : embedPlan(report.plan)
  )}\n`
}

function planOf({ plan, estimate, cluster }: RunReport, limits: Limits, docsUrl: string): string {
  if (plan === undefined) return ''
  const sentence = prose(clip(plan.sentence, limits.message))
  const nothing = plan.steps.length === 0
  const secrets =
    isVault(cluster) || estimate === undefined ? '' : `- ${bold('Secrets:')} ${secretsOf(plan, estimate)}\n`
  const end = plan.refused
    ? alert('CAUTION', `${bold('Refused then:')} ${sentence}`)
    : `${bold('In the end:')} ${sentence}`
  return blocks(
    nothing ? '' : blocks('#### Plan', planSteps(plan, limits), end),
    nothing || estimate === undefined ? '' : `${secrets}- ${bold('Time:')} ${timeOf(estimate)}`,
    `Plan hash ${code(plan.hash)}. ${link('Applied as approved', `${docsUrl}/pull-requests.md`)}, it is carried out only as long as it has this hash.`
  )
}

function secretsOf({ basis }: NonNullable<RunReport['plan']>, { secrets }: Estimate): string {
  const { all, afterChange } = proofsIn(basis.steps)
  const count = secrets === undefined ? 'How many there are could not be read.' : `About ${formatNumber(secrets)} now.`
  if (all === 0) return `${count} None of them is touched.`
  const again =
    afterChange === 0 ? '' : `, and after ${afterChange === 1 ? 'the change' : 'each change'} that is every one`
  return `${count} In ${plural(all, 'proof')} each gets an empty patch: the API server encrypts it anew where it is not under the key in use yet${again}. Nothing in a Secret changes, and no value of one is read.`
}

/** `about 4 to 10 minutes` */
function timeOf({ minMs, maxMs }: Estimate): string {
  const minutes = (ms: number): number => Math.max(Math.ceil(ms / 60_000), 1)
  const least = minutes(minMs)
  if (maxMs === undefined) return `at least about ${plural(least, 'minute')}.`
  const most = minutes(maxMs)
  return least === most ? `about ${plural(most, 'minute')}.` : `about ${String(least)} to ${plural(most, 'minute')}.`
}

function origin({ run }: RunReport, commit: string): string {
  const of = commit === '' ? 'Made' : `Made of commit ${code(commit.slice(0, 10))}`
  return run === undefined ? `${of}.` : `${of} by ${link('this run', run)}, and replaced by the next.`
}
