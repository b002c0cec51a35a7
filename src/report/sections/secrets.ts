import type { ClusterSnapshot, ProofReport, RunReport } from '../../model/report.ts'
import type { SecretCounts } from '../../model/secrets.ts'
import { bold, code, details } from '../markdown.ts'
import { formatDuration, formatNumber, plural } from '../text.ts'
import { countsTable, type CountsRow } from './counts.ts'
import { blocks, keyCode, leftOut, type Section } from './section.ts'

/** What became of the Secrets, in total and per proof. */
export const secretsSection: Section = (report, { limits }) => {
  const { proofs } = report
  const last = proofs.at(-1)
  if (last === undefined) return ''
  const rows: CountsRow[] = titled(proofs).map(({ title, proof }) => ({
    title: `${verdictOf(proof)} ${title}${isBrokenOff(proof) ? ', so far' : ''}`,
    counts: proof.counts,
    more: passesAndTime([proof])
  }))
  const total: CountsRow = {
    title: 'In total',
    counts: sum(proofs.map(({ counts }) => counts)),
    more: passesAndTime(proofs),
    sum: true
  }
  return blocks(
    '#### Secrets',
    headline(report, last),
    countsTable('Proof', [...rows.slice(-limits.rows), ...(rows.length > 1 ? [total] : [])], ['Passes', 'Time']),
    leftOut(rows.length, limits.rows)
  )
}

/** The namespaces of the last proof: the largest visible, the others folded in. */
export const namespacesSection: Section = ({ proofs }, { limits }) => {
  const all = proofs.at(-1)?.namespaces ?? []
  const last = titled(proofs).at(-1)
  if (all.length === 0 || last === undefined) return ''
  const title = `${last.title}${isBrokenOff(last.proof) ? ', so far' : ''}`
  const rows = all.slice(0, limits.namespaces).map(({ namespace, counts }) => ({ title: code(namespace), counts }))
  const everyCount = all.map(({ counts }) => counts)
  const part = (some: readonly CountsRow[]): string => countsTable('Namespace', some, [], everyCount)
  const rest = leftOut(all.length, rows.length)
  // Where nothing happened there is nothing to look for.
  const quiet = all.every(({ counts }) => counts.reEncrypted === 0 && counts.failed === 0)
  if (quiet) return details(`${title}: ${plural(all.length, 'namespace')}`, blocks(part(rows), rest))
  const hidden = rows.slice(limits.visibleNamespaces)
  return blocks(
    `#### Namespaces ${title.toLowerCase()}`,
    part(rows.slice(0, limits.visibleNamespaces)),
    hidden.length === 0
      ? rest
      : details(plural(all.length - limits.visibleNamespaces, 'smaller namespace'), blocks(part(hidden), rest))
  )
}

/** Every pass of every proof, folded in. */
export const passesSection: Section = ({ proofs }, { limits }) => {
  const rows = titled(proofs).flatMap(({ title, proof }) =>
    proof.passes.map(({ complete, counts, durationMs }, i) => ({
      title: `${title}, pass ${String(i + 1)}${complete ? '' : ' ⏹️ broken off, so far'}`,
      counts,
      more: [formatDuration(durationMs)]
    }))
  )
  if (rows.length === 0) return ''
  return details(
    `${plural(rows.length, 'pass', 'passes')}, ${timeOf(proofs)}`,
    blocks(countsTable('Pass', rows.slice(-limits.rows), ['Time']), leftOut(rows.length, limits.rows))
  )
}

/** A failed proof speaks for itself in the table and in the list of failures. */
function headline(report: RunReport, last: ProofReport): string {
  const { total, failed } = last.counts
  if (report.proved) {
    const secrets = bold(total === 1 ? 'The one Secret' : `All ${plural(total, 'Secret')}`)
    return `${secrets} ${total === 1 ? 'is' : 'are'} proved ${underWhat(report.after)}.`
  }
  if (!last.proved) return failed > 0 && !isBrokenOff(last) ? '' : `${bold('Not proved:')} ${unprovedBecause(last)}.`
  return last.when === 'before-change' && report.changed ? `${bold('Not proved')} since the change.` : ''
}

function underWhat(cluster: ClusterSnapshot | undefined): string {
  if (cluster === undefined) return 'to be as the API servers would write them now'
  if (cluster.dataEncryption !== undefined) return 'to be as KMS data encryption would write them now'
  return cluster.kms.enabled ? `under ${keyCode(cluster.kms.keyId)}` : 'under no key: KMS is off'
}

function unprovedBecause({ when, counts, passes, evidence }: ProofReport): string {
  const last = passes.at(-1)
  if (last?.complete === false)
    return `pass ${String(passes.length)} was broken off after ${plural(last.counts.total, 'Secret')}`
  const stale = last?.counts.reEncrypted ?? 0
  if (stale > 0) return `the last pass still found ${plural(stale, 'stale Secret')}`
  const behind = evidence.servers.filter(({ state }) => state === 'behind').length
  if (behind > 0) return `${plural(behind, 'API server')} did not write under the key yet`
  return when === 'after-change' && counts.reEncrypted === 0
    ? 'no Secret was found stale after the change'
    : 'the API servers had not settled'
}

function isBrokenOff({ passes }: ProofReport): boolean {
  return passes.some(({ complete }) => !complete)
}

function verdictOf(proof: ProofReport): string {
  if (proof.proved) return '✅'
  return isBrokenOff(proof) ? '⏹️' : '❌'
}

/** `After the change`, numbered where an operation makes several. */
function titled(proofs: readonly ProofReport[]): readonly { readonly title: string; readonly proof: ProofReport }[] {
  const changes = proofs.filter(({ when }) => when === 'after-change')
  return proofs.map((proof) => {
    if (proof.when === 'before-change') return { title: 'Before the change', proof }
    if (proof.when === 'no-change') return { title: 'Without a change', proof }
    const number = changes.length > 1 ? `change ${String(changes.indexOf(proof) + 1)}` : 'the change'
    return { title: `After ${number}`, proof }
  })
}

function passesAndTime(proofs: readonly ProofReport[]): readonly string[] {
  return [formatNumber(proofs.flatMap(({ passes }) => passes).length), timeOf(proofs)]
}

function timeOf(proofs: readonly ProofReport[]): string {
  const passes = proofs.flatMap((proof) => proof.passes)
  return formatDuration(passes.reduce((all, { durationMs }) => all + durationMs, 0))
}

function sum(all: readonly SecretCounts[]): SecretCounts {
  const of = (name: keyof SecretCounts): number => all.reduce((total, counts) => total + counts[name], 0)
  return {
    total: of('total'),
    reEncrypted: of('reEncrypted'),
    alreadyCurrent: of('alreadyCurrent'),
    gone: of('gone'),
    failed: of('failed'),
    failedForGood: of('failedForGood')
  }
}
