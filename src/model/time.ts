export const DAY_MS = 86_400_000

/** Milliseconds since the epoch as `2026-11-22 16:20 UTC`. */
export function minuteOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** A year and a month are about so long. */
const DAYS: Readonly<Record<string, number>> = { Y: 365, M: 30, W: 7, D: 1 }

/** Milliseconds of an ISO 8601 duration in days or more, such as `P90D` or `P1Y6M`; undefined for any other text. */
export function durationOf(text: string): number | undefined {
  const parts = /^P((?:\d+[YMWD])+)$/.exec(text)?.[1]?.match(/\d+[YMWD]/g)
  if (parts === undefined || parts === null) return undefined
  const days = parts.map((part) => Number(part.slice(0, -1)) * (DAYS[part.slice(-1)] ?? 0))
  return days.reduce((sum, part) => sum + part, 0) * DAY_MS
}
