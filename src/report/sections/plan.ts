import { bold, code, prose } from '../markdown.ts'
import { clip } from '../text.ts'
import { blocks, leftOut, type Section } from './section.ts'

/** What a dry run found that the operation would do. */
export const planSection: Section = ({ plan, dryRun }, { limits }) => {
  if (plan === undefined || !dryRun) return ''
  const steps = plan.steps
    .slice(0, limits.rows)
    .map(({ title }, i) => `${String(i + 1)}. ${prose(clip(title, limits.cell))}`)
  return blocks(
    '#### Plan',
    steps.length === 0 ? 'No step is needed.' : steps.join('\n'),
    leftOut(plan.steps.length, steps.length),
    `${bold(plan.refused ? 'Refused then:' : 'In the end:')} ${prose(clip(plan.sentence, limits.message))}`,
    plan.refused ? '' : 'To carry it out, run the same operation without the dry run.',
    `Plan hash ${code(plan.hash)}, the same until something changes that the plan depends on.`
  )
}
