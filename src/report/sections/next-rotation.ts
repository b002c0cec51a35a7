import { bold } from '../markdown.ts'
import { formatTime } from '../text.ts'
import type { Section } from './section.ts'

/** When the next rotation is due, and whether this one had been. */
export const nextRotationSection: Section = ({ rotationDueAt, rotationOverdueSince, startedAt }) => {
  if (rotationDueAt === undefined) return ''
  if (rotationDueAt <= startedAt) return `⏰ ${bold('Rotation overdue')} since ${formatTime(rotationDueAt)}.`
  const next = `${bold('Next rotation')} due on ${formatTime(rotationDueAt)}.`
  if (rotationOverdueSince === undefined) return next
  return `${next} This one had been due since ${formatTime(rotationOverdueSince)}.`
}
