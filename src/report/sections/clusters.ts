import type { Code } from '../../errors.ts'
import type { ClusterStatus, KeyStatus, RecordStatus, StatusResult } from '../../model/cluster-status.ts'
import type { Finding } from '../../model/finding.ts'
import { bold, code, details, link, prose, table, type Column } from '../markdown.ts'
import { clip, formatNumber, formatTime, plural, troubleshootingUrl } from '../text.ts'
import { blocks, keyCode, leftOut, type Section, type SectionContext } from './section.ts'

const ICON: Readonly<Record<StatusResult, string>> = {
  failing: '❌',
  overdue: '🔴',
  due: '🟡',
  unknown: '❔',
  warning: '⚠️',
  off: '🔓',
  ok: '✅'
}

const NOT_KNOWN = 'not known'
const DAY = 86_400_000

/** Clusters in order that are shown in a row with the others before they are folded in. */
const MOST_VISIBLE_IN_ORDER = 10

/** A table of all clusters, or the facts of the only one. */
export const clustersSection: Section = ({ clusters, startedAt, dueOnly }, context) => {
  const [first] = clusters ?? []
  if (clusters === undefined || first === undefined) return ''
  if (clusters.length === 1) return facts(first, startedAt)
  const shown = clusters.slice(0, context.limits.clusters)
  const inOrder = shown.filter(({ result }) => result === 'ok')
  const fold = inOrder.length > MOST_VISIBLE_IN_ORDER
  const columns = columnsFor(clusters, startedAt, context)
  const visible = fold ? shown.filter(({ result }) => result !== 'ok') : shown
  const due = clusters.filter((cluster) => cluster.due).length
  return blocks(
    '#### Clusters',
    clusterTable(visible, columns),
    fold ? details(`${plural(inOrder.length, 'cluster')} in order`, clusterTable(inOrder, columns)) : '',
    leftOut(clusters.length, shown.length),
    messages(shown, context),
    dueOnly === true ? `The output ${code('clusters')} has ${plural(due, 'cluster')} whose rotation is due.` : ''
  )
}

interface ClusterColumn extends Column {
  cell(cluster: ClusterStatus): string
}

function clusterTable(clusters: readonly ClusterStatus[], columns: readonly ClusterColumn[]): string {
  if (clusters.length === 0) return ''
  return table(
    columns,
    clusters.map((cluster) => columns.map(({ cell }) => cell(cluster)))
  )
}

function columnsFor(
  clusters: readonly ClusterStatus[],
  now: string,
  context: SectionContext
): readonly ClusterColumn[] {
  const dueKnown = clusters.some((cluster) => cluster.dueAt !== undefined || cluster.due)
  return [
    {
      title: 'Cluster',
      cell: ({ result, clusterName, resourceGroup }) =>
        lines(`${ICON[result]} ${bold(code(clusterName))}`, code(resourceGroup))
    },
    { title: 'KMS', cell: generation },
    { title: 'Key version', cell: (cluster) => keyCell(cluster, now) },
    ...(dueKnown ? [{ title: 'Rotation due', cell: (cluster: ClusterStatus) => dueCell(cluster, now) }] : []),
    { title: 'Last proof', cell: proofCell },
    { title: 'Findings', cell: (cluster) => lines(...findingCodes(cluster, context)) }
  ]
}

function lines(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('<br>')
}

function generation({ kms, networkAccess }: ClusterStatus): string {
  switch (kms) {
    case 'off':
      return 'off'
    case 'data-encryption':
      return 'data encryption'
    case 'v1':
    case 'v2':
      return `${kms} ${networkAccess ?? ''}`.trim()
  }
}

function keyCell({ kms, keyId, key }: ClusterStatus, now: string): string {
  if (keyId === undefined) return '–'
  if (kms === 'data-encryption') return keyCode(keyId)
  if (key === undefined) return lines(keyCode(keyId), `age ${NOT_KNOWN}`)
  const about = [`${plural(key.ageDays, 'day')} old`, newer(key), expiry(key, now), key.enabled ? '' : bold('disabled')]
  return lines(keyCode(keyId), about.filter((text) => text !== '').join(', '))
}

function newer({ newerVersions = 0 }: KeyStatus): string {
  return newerVersions === 0 ? '' : `${formatNumber(newerVersions)} newer`
}

function expiry({ expiresAt }: KeyStatus, now: string): string {
  if (expiresAt === undefined) return ''
  return expiresAt <= now ? bold(`expired ${day(expiresAt)}`) : `expires ${day(expiresAt)}`
}

function dueCell({ kms, phase, dueAt, due, overdue, record }: ClusterStatus, now: string): string {
  if (kms === 'off' || kms === 'data-encryption') return '–'
  if (record?.unfinished === 'rotate') return bold('to be finished')
  if (dueAt === undefined) return NOT_KNOWN
  if (overdue) return lines(day(dueAt), bold(`${plural(daysBetween(dueAt, now), 'day')} overdue`))
  if (due) return lines(day(dueAt), bold('due'))
  return lines(day(dueAt), phase === 'stopped' && dueAt <= now ? 'due, but stopped' : '')
}

function proofCell({ kms, record }: ClusterStatus): string {
  if (record === undefined) return NOT_KNOWN
  const never = kms === 'v1' || kms === 'v2' ? 'never' : '–'
  return lines(
    record.provedAt === undefined ? never : day(record.provedAt),
    record.unfinished === undefined ? '' : `unfinished ${code(record.unfinished)}`
  )
}

/** Told by the other columns. */
const TOLD: ReadonlySet<Code> = new Set<Code>([
  'rotation-overdue',
  'newer-key-version',
  'operation-unfinished',
  'kms-off',
  'kms-v1',
  'kms-data-encryption'
])

function findingCodes({ findings }: ClusterStatus, { docsUrl }: SectionContext): readonly string[] {
  const codes = new Map(findings.map((finding) => [finding.code, finding.severity]))
  return [...codes]
    .filter(([name]) => !TOLD.has(name))
    .map(([name, severity]) => (severity === 'note' ? code(name) : link(code(name), troubleshootingUrl(docsUrl, name))))
}

/** What is told above with other clusters' is here in the words of each. */
function messages(clusters: readonly ClusterStatus[], { limits }: SectionContext): string {
  const all = clusters.flatMap(({ name, findings }) =>
    findings.filter(({ severity }) => severity !== 'note').map((finding) => ({ name, finding }))
  )
  if (all.length === 0) return ''
  const shown = all.slice(0, limits.rows).map(({ name, finding }) => entry(name, finding, limits.cell))
  return details('Findings, cluster by cluster', blocks(shown.join('\n'), leftOut(all.length, shown.length)))
}

function entry(name: string, { code: name_, message }: Finding, longest: number): string {
  return `- ${bold(code(name))} ${code(name_)} ${prose(clip(message, longest))}`
}

function facts(cluster: ClusterStatus, now: string): string {
  const { kms, key, keyId, record, dueAt } = cluster
  const pins = kms === 'v1' || kms === 'v2'
  const ofKey = (fact: (key: KeyStatus) => string): string => (key === undefined ? (pins ? NOT_KNOWN : '') : fact(key))
  const rows: readonly (readonly [string, string])[] = [
    ['KMS', generation(cluster)],
    ['Key version', keyId === undefined ? '' : lines(keyCode(keyId), code(keyId))],
    ['Age', ofKey(({ ageDays, createdAt }) => `${plural(ageDays, 'day')}, since ${day(createdAt)}`)],
    ['Expires', ofKey((one) => expiry(one, now) || 'never')],
    ['Newer versions', ofKey(({ newerVersions }) => newerVersions?.toString() ?? NOT_KNOWN)],
    ['Rotation due', dueAt === undefined && !cluster.due ? '' : dueCell(cluster, now)],
    ['Last proof', record === undefined ? NOT_KNOWN : proof(record)],
    ['Previous key version', record === undefined ? NOT_KNOWN : previousKey(record)],
    ['Unfinished', record?.unfinished === undefined ? '' : code(record.unfinished)],
    ['Kubernetes', prose(cluster.kubernetesVersion)],
    ['Location', prose(cluster.location)],
    ['State', `${prose(cluster.provisioningState)}${cluster.phase === 'stopped' ? ', stopped' : ''}`]
  ]
  return table(
    [{ title: 'Cluster' }, { title: `${ICON[cluster.result]} ${bold(code(cluster.clusterName))}` }],
    rows.filter(([, value]) => value !== '')
  )
}

function proof({ provedAt, provedBy, provedKeyId }: RecordStatus): string {
  if (provedAt === undefined) return 'never'
  const under = provedKeyId === undefined ? '' : `under ${provedKeyId === 'identity' ? 'no key' : keyCode(provedKeyId)}`
  return lines(formatTime(provedAt), under, provedBy === undefined ? '' : prose(provedBy))
}

function previousKey({ provedAt, previousKeyId }: RecordStatus): string {
  if (previousKeyId === undefined) return provedAt === undefined ? '' : NOT_KNOWN
  return previousKeyId === 'identity' ? 'none' : lines(keyCode(previousKeyId), code(previousKeyId))
}

function daysBetween(from: string, to: string): number {
  return Math.floor((Date.parse(to) - Date.parse(from)) / DAY)
}

function day(iso: string): string {
  return iso.slice(0, 10)
}
