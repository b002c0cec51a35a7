import type { SecretFailure } from '../../model/secrets.ts'
import { bold, code, prose, table } from '../markdown.ts'
import { clip, formatNumber, plural } from '../text.ts'
import { failedAfterRetries } from './counts.ts'
import { blocks, leftOut, type Section } from './section.ts'

/** Secrets that are visible in a row before the others are folded in. */
const VISIBLE = 5

/** The Secrets that the last proof left: a row for each reason, so that one broken webhook reads as one thing to mend. */
export const failuresSection: Section = ({ proofs }, { limits }) => {
  const last = proofs.at(-1)
  if (last === undefined || last.failures.length === 0) return ''
  const groups = byReason(last.failures).slice(0, limits.failures)
  const perGroup = Math.floor(limits.failures / groups.length)
  const part = (permanence: SecretFailure['permanence'], title: string): string => {
    const rows = groups
      .filter(({ first }) => first.permanence === permanence)
      .map(({ failures, reason, first }) => {
        const status = first.status === 0 ? '' : `${bold(String(first.status))} `
        const fix = permanence === 'permanent' ? `<br>${bold('Fix:')} ${prose(fixOf(first))}` : ''
        return [secrets(failures, perGroup), `${status}${prose(clip(reason, limits.cell))}${fix}`]
      })
    return rows.length === 0 ? '' : blocks(title, table([{ title: 'Secrets' }, { title: 'Reason' }], rows))
  }
  const [forGood, retried] = [last.counts.failedForGood, failedAfterRetries(last.counts)]
  const shown = groups.reduce((sum, { failures }) => sum + Math.min(failures.length, perGroup), 0)
  const unlisted = last.counts.failed - last.failures.length
  return blocks(
    '#### Failed Secrets',
    part(
      'permanent',
      `${bold(`${formatNumber(forGood)} for good`)}: trying again can’t help until the cause is mended.`
    ),
    part('transient', `${bold(`${formatNumber(retried)} after retries`)}: running it again may be enough.`),
    leftOut(last.failures.length, shown),
    unlisted > 0 ? `${plural(unlisted, 'further Secret')} failed and were only counted.` : ''
  )
}

/** Of a permanent failure: the same advice as the section `secrets-failed` of docs/troubleshooting.md. */
function fixOf({ status, reason }: SecretFailure): string {
  if (/too large/i.test(reason) || status === 413) return 'Make the Secret smaller, or delete it.'
  if (/transform|decrypt/i.test(reason)) return 'It can’t be decrypted: enable the key version that it is under.'
  if (/calling webhook/i.test(reason)) return 'Mend the webhook, or delete its configuration.'
  if (status === 403) return 'A policy forbids to update it: exempt the workflow’s identity or the namespace.'
  if (status === 422) return 'It no longer passes validation: mend or delete the Secret.'
  return 'Mend what the API server says.'
}

interface Group {
  readonly reason: string
  readonly first: SecretFailure
  readonly failures: readonly SecretFailure[]
}

/** What has to be mended first, then the most frequent. API servers name the Secret in the reason, which is left out here. */
function byReason(failures: readonly SecretFailure[]): readonly Group[] {
  const same = Map.groupBy(failures, (failure) => [failure.permanence, failure.status, withoutName(failure)].join(' '))
  return [...same.values()]
    .flatMap((failures) => {
      const [first] = failures
      if (first === undefined) return []
      return { reason: failures.length === 1 ? first.reason : withoutName(first), first, failures }
    })
    .sort((a, b) => rank(a) - rank(b) || b.failures.length - a.failures.length)
}

function withoutName({ name, reason }: SecretFailure): string {
  return reason.replace(/[a-z0-9]([a-z0-9.-]*[a-z0-9])?/g, (word) => (word === name ? '…' : word))
}

function rank({ first }: Group): number {
  return first.permanence === 'permanent' ? 0 : 1
}

/** The number of all, and the names of at most `most`. */
function secrets(failures: readonly SecretFailure[], most: number): string {
  const names = failures.slice(0, most).map(({ namespace, name }) => code(`${namespace}/${name}`))
  if (failures.length === 1) return names.join('')
  const [visible, folded] = [names.slice(0, VISIBLE), names.slice(VISIBLE)]
  const head = [bold(plural(failures.length, 'Secret')), ...visible].join('<br>')
  if (folded.length === 0) return head
  return `${head}<details><summary>${formatNumber(folded.length)} more</summary>${folded.join('<br>')}</details>`
}
