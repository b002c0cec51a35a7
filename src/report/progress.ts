import type { ProofProgress } from '../model/secrets.ts'
import { formatDuration, formatNumber, plural } from './text.ts'

/** `Pass 2: 1,240 of about 2,000 Secrets, 640/s, about 1.2 s left, 1,240 re-encrypted` */
export function progressLine(progress: ProofProgress): string {
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
