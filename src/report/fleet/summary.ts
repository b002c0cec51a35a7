import { failedOf, type Fleet, type FleetCluster, type LegResult } from '../../model/fleet.ts'
import { alert, bold, code, link, prose, table } from '../markdown.ts'
import { blocks } from '../sections/section.ts'
import { clip, formatNumber, plural } from '../text.ts'
import { keyAgeChart } from './chart.ts'

export interface FleetSummaryOptions {
  /** Where the docs folder is served, without a slash at the end. */
  readonly docsUrl: string
  /** Url of the run that reports; undefined outside GitHub Actions. */
  readonly run: string | undefined
}

interface Limits {
  readonly failures: number
  readonly rows: number
  readonly message: number
}

/** From the longest form to the shortest. */
const FORMS: readonly Limits[] = [
  { failures: 100, rows: 1000, message: 1000 },
  { failures: 50, rows: 250, message: 400 },
  { failures: 10, rows: 40, message: 200 }
]

/** All legs as GitHub Flavored Markdown in at most so many characters: failures first, then a table and a chart of key ages. */
export function renderFleet(fleet: Fleet, options: FleetSummaryOptions, longest: number): string {
  const forms = FORMS.map((limits) => render(fleet, options, limits))
  return forms.find((text) => text.length <= longest) ?? forms.at(-1)?.slice(0, longest) ?? ''
}

function render(fleet: Fleet, { docsUrl, run }: FleetSummaryOptions, limits: Limits): string {
  return `${blocks(
    headline(fleet),
    `${totals(fleet)}${run === undefined ? '' : ` · ${link('workflow run', run)}`}`,
    failures(fleet, docsUrl, limits),
    lateRotations(fleet),
    legsTable(fleet, limits),
    keyAgeChart(fleet)
  )}\n`
}

function headline(fleet: Fleet): string {
  const [all, failed] = [fleet.clusters.length, failedOf(fleet).length]
  if (all === 0) return '### ✅ There was no cluster to work on.'
  if (failed > 0) return `### ❌ ${String(failed)} of ${plural(all, 'cluster')} failed.`
  return all === 1
    ? '### ✅ The one cluster is as it should be.'
    : `### ✅ All ${plural(all, 'cluster')} are as they should be.`
}

function totals({ clusters }: Fleet): string {
  const count = (is: (cluster: FleetCluster) => boolean): number => clusters.filter(is).length
  const parts: readonly (readonly [number, string])[] = [
    [count(({ changed }) => changed), 'changed'],
    [count(({ proved }) => proved), 'proved'],
    [count(({ result, changed, proved }) => result === 'done' && !changed && !proved), 'nothing to do'],
    [count(({ result }) => result === 'planned'), 'planned'],
    [count(({ overdue }) => overdue !== undefined), 'overdue'],
    [count(({ result }) => result === 'missing'), 'never reported']
  ]
  const reEncrypted = clusters.reduce((sum, cluster) => sum + cluster.reEncrypted, 0)
  return [
    plural(clusters.length, 'cluster'),
    ...parts.filter(([number]) => number > 0).map(([number, word]) => `${formatNumber(number)} ${word}`),
    `${plural(reEncrypted, 'Secret')} re-encrypted`
  ].join(' · ')
}

/** What each that failed says, and what to do. */
function failures(fleet: Fleet, docsUrl: string, limits: Limits): string {
  const failed = failedOf(fleet)
  if (failed.length === 0) return ''
  const shown = failed.slice(0, limits.failures).map((cluster) => {
    const { problem, result, sentence, overdue } = cluster
    const name = bold(nameOf(cluster))
    const known = problem !== undefined && /^[a-z0-9-]+$/.test(problem.code)
    const why = known ? ` ${link(code(problem.code), `${docsUrl}/troubleshooting.md#${problem.code}`)}` : ''
    const late = overdue === undefined ? '' : `Its rotation is ${days(overdue)} overdue. `
    const fix = problem === undefined ? HOW_TO_GO_ON[result] : problem.fix
    return `${name}${why}: ${late}${prose(clip(sentence, limits.message))}${fix === '' ? '' : `<br>${bold('Fix:')} ${prose(clip(fix, limits.message))}`}`
  })
  const left = failed.length - shown.length
  return alert('CAUTION', blocks(...shown, left > 0 ? `… and ${formatNumber(left)} more in the table.` : ''))
}

const HOW_TO_GO_ON: Readonly<Record<LegResult, string>> = {
  done: 'See why no run rotates it: that `max-key-age` is set, that its schedule is enabled, and that its job starts.',
  planned: 'Run it without `dry-run`.',
  refused: '',
  failed: '',
  cancelled: '',
  unreadable: 'Look at the job’s log, and run it again.',
  missing: 'Look at the job’s log: it was cancelled or lost, or could not upload its report. Then run it again.'
}

/** Rotations that this run made up for. */
function lateRotations({ clusters }: Fleet): string {
  const late = clusters.flatMap(({ name, late }) => (late === undefined ? [] : [`${code(name)} by ${days(late)}`]))
  if (late.length === 0) return ''
  return alert(
    'WARNING',
    `${bold('Rotated too late:')} ${late.join(', ')}. Earlier runs were dropped or failed: GitHub may drop a schedule, and disables it where nothing happens in a public repository for 60 days.`
  )
}

function legsTable({ clusters, at }: Fleet, limits: Limits): string {
  if (clusters.length === 0) return ''
  const rows = clusters.slice(0, limits.rows).map((cluster) => {
    const { proved, keyAge, reEncrypted, result } = cluster
    return [
      nameOf(cluster),
      resultOf(cluster),
      proved ? '✅' : '–',
      keyAge === undefined ? '–' : days(keyAge),
      dueDate(cluster, at),
      result === 'missing' || result === 'unreadable' ? '–' : formatNumber(reEncrypted)
    ]
  })
  const left = clusters.length - rows.length
  const columns = [
    { title: 'Cluster' },
    { title: 'Result' },
    { title: 'Proved' },
    { title: 'Key age', numeric: true },
    { title: 'Next due' },
    { title: 'Secrets re-encrypted', numeric: true }
  ]
  return blocks(table(columns, rows), left > 0 ? `… and ${formatNumber(left)} more that are as they should be.` : '')
}

/** With a link to its run. */
function nameOf({ name, run }: FleetCluster): string {
  return run === undefined ? code(name) : link(code(name), run)
}

function dueDate({ rotationDue, overdue }: FleetCluster, at: number): string {
  if (rotationDue === undefined) return '–'
  const date = new Date(rotationDue).toISOString().slice(0, 10)
  if (overdue !== undefined) return bold(date)
  return rotationDue <= at ? `${date} (now)` : date
}

function resultOf({ result, changed, overdue }: FleetCluster): string {
  if (overdue !== undefined && (result === 'done' || result === 'planned')) return '⏰ overdue'
  if (result === 'done') return changed ? '✅ changed' : '✅ unchanged'
  return {
    planned: '📝 planned',
    refused: '⛔ refused',
    failed: '❌ failed',
    cancelled: '⏹️ cancelled',
    unreadable: '❌ unreadable',
    missing: '❓ never reported'
  }[result]
}

function days(ms: number): string {
  return plural(Math.floor(ms / 86_400_000), 'day')
}
