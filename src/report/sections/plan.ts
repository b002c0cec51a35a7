import { alert, bold, code, prose } from '../markdown.ts'
import { clip } from '../text.ts'
import { blocks, leftOut, type Section } from './section.ts'

/** What a dry run found that the operation would do. */
export const planSection: Section = ({ plan, result }, { limits }) => {
  if (plan === undefined || result !== 'planned') return ''
  const steps = plan.steps
    .slice(0, limits.rows)
    .map(({ title }, i) => `${String(i + 1)}. ${prose(clip(title, limits.cell))}`)
  const sentence = prose(clip(plan.sentence, limits.message))
  const end = plan.refused
    ? alert('CAUTION', `${bold('Refused then:')} ${sentence}`)
    : `${bold('In the end:')} ${sentence}\n\nTo carry it out, run the same without ${code('dry-run')}.`
  return blocks(
    '#### Plan',
    steps.join('\n'),
    leftOut(plan.steps.length, steps.length),
    // A plan without a step has its end in the verdict.
    plan.refused || steps.length > 0 ? end : '',
    `Plan hash ${code(plan.hash)}, the same until something changes that the plan depends on.`
  )
}
