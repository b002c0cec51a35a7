import type { Code } from '../../errors.ts'
import type { Finding } from '../../model/finding.ts'
import { alert, bold, code, link, prose } from '../markdown.ts'
import type { Problem } from '../problems.ts'
import { clip, troubleshootingUrl } from '../text.ts'
import { blocks, leftOut, type Section, type SectionContext } from './section.ts'

/** Warnings and notes, a box for each severity. */
export const findingsSection: Section = ({ findings }, context) => {
  const box = (kind: 'WARNING' | 'NOTE', severity: Finding['severity']): string => {
    const found = findings.filter((finding) => finding.severity === severity)
    return found.length === 0 ? '' : alert(kind, problemBlocks(found, context))
  }
  return blocks(box('WARNING', 'warning'), box('NOTE', 'note'))
}

/** Code, message and fix of each. */
export function problemBlocks(problems: readonly Problem[], context: SectionContext): string {
  const { findings: most, message: longest } = context.limits
  const shown = problems.slice(0, most).map((problem) => {
    const message = prose(clip(problem.message, longest))
    return `${codeLink(problem.code, context)} ${message}<br>${bold('Fix:')} ${prose(clip(problem.fix, longest))}`
  })
  return blocks(...shown, leftOut(problems.length, shown.length))
}

function codeLink(name: Code, { docsUrl }: SectionContext): string {
  return bold(link(code(name), troubleshootingUrl(docsUrl, name)))
}
