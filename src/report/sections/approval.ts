import { code, fenced, link, prose } from '../markdown.ts'
import { clip } from '../text.ts'
import { blocks, leftOut, type Section } from './section.ts'

/** By which approved plan the run went, and where the present plan differs from it. */
export const approvalSection: Section = ({ approval }, { limits }) => {
  if (approval === undefined) return ''
  const hash = code(approval.hash)
  const plan = approval.url === undefined ? `the plan ${hash}` : `${link('this plan', approval.url)}, ${hash}`
  if (approval.diff.length === 0) return `Approved is ${plan}. ${prose(approval.sentence)}`
  const lines = approval.diff.slice(0, limits.rows).map(({ mark, text }) => `${mark} ${clip(text, limits.cell)}`)
  return blocks(
    '#### Approved plan and present plan',
    `Approved is ${plan}: ${code('-')} is approved only, ${code('+')} is what would be done now.`,
    fenced('diff', lines.join('\n')),
    leftOut(approval.diff.length, lines.length)
  )
}
