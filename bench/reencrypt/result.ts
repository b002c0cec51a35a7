import type { BundleResult } from './bundle.ts'
import type { CanaryResult } from './canaries.ts'
import type { Machine } from './machine.ts'
import type { CaseResult } from './measurement.ts'

/** Everything that one run of the bench found out; what `--json` writes. */
export interface BenchResult {
  readonly command: string
  /** ISO 8601 */
  readonly startedAt: string
  readonly seconds: number
  readonly machine: Machine
  readonly kubectlLimitMinutes: number
  readonly cases: readonly CaseResult[]
  /** Of the whole table only. */
  readonly bundles: readonly BundleResult[]
  readonly canaries: CanaryResult | undefined
  /** Later runs that measured some of the cases again, oldest first. */
  readonly again?: readonly Repetition[]
}

export interface Repetition extends Pick<BenchResult, 'command' | 'startedAt'> {
  readonly cases: readonly string[]
}
