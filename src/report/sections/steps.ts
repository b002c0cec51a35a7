import type { StepReport } from '../../model/report.ts'
import { details, prose, table } from '../markdown.ts'
import { clip, formatDuration, plural } from '../text.ts'
import { blocks, leftOut, type Section } from './section.ts'

const ICON: Readonly<Record<StepReport['result'], string>> = { done: '✅', failed: '❌', cancelled: '⏹️' }

/** What was carried out, and how long it took; unfolded when a step did not come to its end. */
export const stepsSection: Section = ({ steps, durationMs }, { limits }) => {
  if (steps.length === 0) return ''
  // The last ones, because they tell where it stopped.
  const rows = steps
    .slice(-limits.rows)
    .map(({ title, result, durationMs }) => [
      `${ICON[result]} ${prose(clip(title, limits.cell))}`,
      formatDuration(durationMs)
    ])
  return details(
    `${plural(steps.length, 'step')}, ${formatDuration(durationMs)}`,
    blocks(table([{ title: 'Step' }, { title: 'Time', numeric: true }], rows), leftOut(steps.length, rows.length)),
    steps.some(({ result }) => result !== 'done')
  )
}
