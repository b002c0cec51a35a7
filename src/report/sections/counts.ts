import type { SecretCounts } from '../../model/secrets.ts'
import { bold, table } from '../markdown.ts'
import { formatNumber } from '../text.ts'

export interface CountsRow {
  readonly title: string
  readonly counts: SecretCounts
  /** One cell for each of the further columns. */
  readonly more?: readonly string[]
  /** A row that sums up the others: in bold, and without a number of Secrets, because they are the same ones. */
  readonly sum?: boolean
}

const COLUMNS = [
  ['Re-encrypted', 'reEncrypted'],
  ['Already current', 'alreadyCurrent'],
  ['Gone', 'gone'],
  ['Failed', 'failed']
] as const satisfies readonly (readonly [string, keyof SecretCounts])[]

/** Counts of Secrets, a row each. `gone` and `failed` are columns only where `all` of the counts have any. */
export function countsTable(
  title: string,
  rows: readonly CountsRow[],
  more: readonly string[] = [],
  all: readonly SecretCounts[] = rows.map(({ counts }) => counts)
): string {
  const columns = COLUMNS.filter(([, name], i) => i < 2 || all.some((counts) => counts[name] > 0))
  return table(
    [
      { title },
      ...['Secrets', ...columns.map(([column]) => column), ...more].map((column) => ({ title: column, numeric: true }))
    ],
    rows.map((row) => {
      const strong = row.sum === true ? bold : String
      const outcomes = columns.map(([, name]) => {
        const value = formatNumber(row.counts[name])
        return name === 'failed' && row.counts.failed > 0 ? bold(value) : strong(value)
      })
      const secrets = row.sum === true ? '' : formatNumber(row.counts.total)
      return [strong(row.title), secrets, ...outcomes, ...(row.more ?? []).map(strong)]
    })
  )
}
