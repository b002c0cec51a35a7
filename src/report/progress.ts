import { formatDuration, formatNumber, plural } from './text.ts'

/** How far a pass over the Secrets has come. */
export interface PassProgress {
  /** From 1. */
  readonly pass: number
  readonly listed: number
  readonly settled: number
  readonly reEncrypted: number
  /** Since the pass began. */
  readonly elapsedMs: number
  /** How many there will be, from an earlier pass; undefined in the first. */
  readonly expectedTotal?: number | undefined
}

/** `Pass 2: 1,240 of about 2,000 Secrets, 640/s, about 1.2 s left, 1,240 re-encrypted` */
export function progressLine({ pass, listed, settled, reEncrypted, elapsedMs, expectedTotal }: PassProgress): string {
  const rate = elapsedMs > 0 ? (settled / elapsedMs) * 1000 : 0
  const total = expectedTotal === undefined ? undefined : Math.max(expectedTotal, listed)
  const parts = [
    total === undefined
      ? `${formatNumber(settled)} of ${plural(listed, 'Secret')} listed so far`
      : `${formatNumber(settled)} of about ${plural(total, 'Secret')}`,
    `${formatNumber(Math.round(rate))}/s`
  ]
  if (total !== undefined && rate > 0) parts.push(`about ${formatDuration(((total - settled) / rate) * 1000)} left`)
  parts.push(`${formatNumber(reEncrypted)} re-encrypted`)
  return `Pass ${String(pass)}: ${parts.join(', ')}`
}
