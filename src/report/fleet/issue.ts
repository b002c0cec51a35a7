import { failedOf, type Fleet, type FleetCluster } from '../../model/fleet.ts'
import { code, link } from '../markdown.ts'
import { plural } from '../text.ts'
import { renderFleet, type FleetSummaryOptions } from './summary.ts'

/** GitHub takes no longer body, in characters. Source: docs.github.com/rest/issues */
const LONGEST_BODY = 65_536

/** Which issue it is: its body begins with this. Not shown. */
export function issueMarker(title: string): string {
  return `<!-- kms-etcd-encryption:report ${encodeURI(title)} -->`
}

const PREFIX = '<!-- kms-etcd-encryption:failed '

/** The summary of the last run, and, not shown, which clusters had failed. */
export function renderIssue(fleet: Fleet, title: string, options: FleetSummaryOptions): string {
  const names = Buffer.from(JSON.stringify(failedOf(fleet).map(({ name }) => name))).toString('base64')
  const [head, tail] = [
    `${issueMarker(title)}\n\n`,
    `\n<sub>Brought up to date by each run, and closed by the first without a failure.</sub>\n\n${PREFIX}${names} -->\n`
  ]
  return head + renderFleet(fleet, options, LONGEST_BODY - head.length - tail.length) + tail
}

/** Names of the clusters that had failed when the issue was written. */
export function failedIn(body: string): readonly string[] {
  const text = body.split(/\r?\n/).find((line) => line.startsWith(PREFIX))
  try {
    const names: unknown = JSON.parse(
      Buffer.from(text?.slice(PREFIX.length, -' -->'.length) ?? '', 'base64').toString()
    )
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
  } catch {
    return []
  }
}

/** So many names are in a comment; the issue has them all. */
const MOST_NAMES = 50

export function newlyFailedComment(fresh: readonly FleetCluster[], { run }: FleetSummaryOptions): string {
  const names = fresh.slice(0, MOST_NAMES).map(({ name }) => code(name))
  const more = fresh.length > names.length ? `, and ${String(fresh.length - names.length)} more` : ''
  return `❌ Failed since the last run: ${names.join(', ')}${more}.${by(run)} The description above is up to date.`
}

export function closingComment({ clusters }: Fleet, { run }: FleetSummaryOptions): string {
  const all =
    clusters.length === 0
      ? 'Nothing was left to do'
      : clusters.length === 1
        ? 'The cluster is green again'
        : `All ${plural(clusters.length, 'cluster')} are green again`
  return `✅ ${all}.${by(run)}`
}

function by(run: string | undefined): string {
  return run === undefined ? '' : ` ${link('Workflow run', run)}.`
}
