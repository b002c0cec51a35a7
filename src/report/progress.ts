import { formatDuration, formatNumber, plural } from './text.ts'

/** How far a pass over the Secrets has come. */
export interface PassProgress {
  /** From 1. */
  readonly pass: number
  readonly passEnded: boolean
  readonly listed: number
  /** Secrets with an outcome. */
  readonly settled: number
  readonly reEncrypted: number
  readonly failed: number
  /** Since the pass began. */
  readonly elapsedMs: number
  /** How many there will be, from an earlier pass; undefined in the first. */
  readonly expectedTotal?: number | undefined
}

/** `Pass 2: 1,240 of about 2,000 Secrets, 640/s, about 1.2 s left, 1,240 re-encrypted` */
export function progressLine(progress: PassProgress): string {
  const { pass, passEnded, listed, settled, reEncrypted, failed, elapsedMs, expectedTotal } = progress
  const rate = elapsedMs > 0 ? (settled / elapsedMs) * 1000 : 0
  const parts = [`${formatNumber(Math.round(rate))}/s`]
  if (passEnded) {
    parts.unshift(`${plural(settled, 'Secret')} in ${formatDuration(elapsedMs)}`)
  } else if (expectedTotal === undefined) {
    parts.unshift(`${formatNumber(settled)} of ${plural(listed, 'Secret')} listed so far`)
  } else {
    const total = Math.max(expectedTotal, listed)
    parts.unshift(`${formatNumber(settled)} of about ${plural(total, 'Secret')}`)
    if (rate > 0) parts.push(`about ${formatDuration(((total - settled) / rate) * 1000)} left`)
  }
  parts.push(`${formatNumber(reEncrypted)} re-encrypted`)
  if (failed > 0) parts.push(`${formatNumber(failed)} failed`)
  return `Pass ${String(pass)}: ${parts.join(', ')}`
}
