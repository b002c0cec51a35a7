import type { SecretFailure } from '../../model/secrets.ts'
import { bold, code, prose, table } from '../markdown.ts'
import { clip, formatNumber, plural } from '../text.ts'
import { blocks, leftOut, type Section } from './section.ts'

/** Secrets that are visible in a row before the others are folded in. */
const VISIBLE = 5

/** The Secrets that the last proof left: a row for each reason, so that one broken webhook reads as one thing to mend. */
export const failuresSection: Section = ({ proofs }, { limits }) => {
  const last = proofs.at(-1)
  if (last === undefined || last.failures.length === 0) return ''
  const all = byReason(last.failures)
  const groups = all.slice(0, limits.failures)
  const perGroup = Math.floor(limits.failures / groups.length)
  const rows = groups.map(({ reason, failures, first }) => {
    const status = first.status === 0 ? '' : `${bold(String(first.status))} `
    const outlook = first.permanence === 'permanent' ? 'Trying again can’t help.' : 'Trying again may help.'
    return [secrets(failures, perGroup), `${status}${prose(clip(reason, limits.cell))}<br>${bold(outlook)}`]
  })
  const shown = groups.reduce((sum, { failures }) => sum + Math.min(failures.length, perGroup), 0)
  const unlisted = last.counts.failed - last.failures.length
  return blocks(
    '#### Failed Secrets',
    table([{ title: 'Secrets' }, { title: 'Reason' }], rows),
    leftOut(last.failures.length, shown),
    unlisted > 0 ? `${plural(unlisted, 'further Secret')} failed and were only counted.` : ''
  )
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
