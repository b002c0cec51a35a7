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

interface CountColumn {
  readonly title: string
  readonly of: (counts: SecretCounts) => number
  /** Shown only where there is any. */
  readonly optional?: boolean
  /** In bold, because somebody has to do something. */
  readonly alarming?: boolean
}

const COLUMNS: readonly CountColumn[] = [
  { title: 'Re-encrypted', of: ({ reEncrypted }) => reEncrypted },
  { title: 'Already current', of: ({ alreadyCurrent }) => alreadyCurrent },
  { title: 'Gone', of: ({ gone }) => gone, optional: true },
  { title: 'Failed for good', of: ({ failedForGood }) => failedForGood, optional: true, alarming: true },
  { title: 'Failed after retries', of: failedAfterRetries, optional: true, alarming: true }
]

export function failedAfterRetries({ failed, failedForGood }: SecretCounts): number {
  return failed - failedForGood
}

/** Counts of Secrets, a row each. The optional columns are there only where any of `all` counts has one. */
export function countsTable(
  title: string,
  rows: readonly CountsRow[],
  more: readonly string[] = [],
  all: readonly SecretCounts[] = rows.map(({ counts }) => counts)
): string {
  const columns = COLUMNS.filter(({ optional, of }) => optional !== true || all.some((counts) => of(counts) > 0))
  return table(
    [
      { title },
      ...['Secrets', ...columns.map((column) => column.title), ...more].map((column) => ({
        title: column,
        numeric: true
      }))
    ],
    rows.map((row) => {
      const strong = row.sum === true ? bold : String
      const outcomes = columns.map(({ of, alarming }) => {
        const count = of(row.counts)
        return alarming === true && count > 0 ? bold(formatNumber(count)) : strong(formatNumber(count))
      })
      const secrets = row.sum === true ? '' : formatNumber(row.counts.total)
      return [strong(row.title), secrets, ...outcomes, ...(row.more ?? []).map(strong)]
    })
  )
}
