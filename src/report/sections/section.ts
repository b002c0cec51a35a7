import type { RunReport } from '../../model/report.ts'
import { code } from '../markdown.ts'
import { formatNumber, shortKey } from '../text.ts'

/** How much of the long lists is shown; all of it is in the JSON report. */
export interface Limits {
  /** Those that are visible before the rest is folded in. */
  readonly visibleNamespaces: number
  readonly namespaces: number
  readonly failures: number
  /** Findings of one severity. */
  readonly findings: number
  readonly clusters: number
  /** Rows of any other list. */
  readonly rows: number
  /** Characters of a message. */
  readonly message: number
  /** Characters of a failure's reason or a property's value. */
  readonly cell: number
}

export interface SectionContext {
  /** Where the docs folder is served, without a slash at the end. */
  readonly docsUrl: string
  readonly limits: Limits
}

/** A part of the summary as Markdown; empty where the report has nothing for it. */
export type Section = (report: RunReport, context: SectionContext) => string

/** Blocks of Markdown one below the other; empty ones are left out. */
export function blocks(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n')
}

/** Says where the rest of a shortened list is; empty when nothing was left out. */
export function leftOut(all: number, shown: number): string {
  return all <= shown ? '' : `… and ${formatNumber(all - shown)} more in the JSON report (output \`report\`).`
}

/** A key version in short; its whole url is in the section on key versions. */
export function keyCode(keyId: string): string {
  return code(shortKey(keyId))
}
