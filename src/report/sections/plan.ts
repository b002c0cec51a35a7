import type { Plan } from '../../model/report.ts'
import { alert, bold, code, prose } from '../markdown.ts'
import { clip } from '../text.ts'
import { blocks, leftOut, type Limits, type Section } from './section.ts'

/** What a dry run found that the operation would do. */
export const planSection: Section = ({ plan, result }, { limits }) => {
  if (plan === undefined || result !== 'planned') return ''
  const sentence = prose(clip(plan.sentence, limits.message))
  const end = plan.refused
    ? alert('CAUTION', `${bold('Refused then:')} ${sentence}`)
    : `${bold('In the end:')} ${sentence}\n\nTo carry it out, run the same without ${code('dry-run')}.`
  return blocks(
    '#### Plan',
    planSteps(plan, limits),
    // A plan without a step has its end in the verdict.
    plan.refused || plan.steps.length > 0 ? end : '',
    `Plan hash ${code(plan.hash)}, the same until something changes that the plan depends on.`
  )
}

export function planSteps({ steps }: Plan, limits: Limits): string {
  const shown = steps
    .slice(0, limits.rows)
    .map(({ title }, i) => `${String(i + 1)}. ${prose(clip(title, limits.cell))}`)
  return blocks(shown.join('\n'), leftOut(steps.length, shown.length))
}
