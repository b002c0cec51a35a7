import { quantile } from '../spread.ts'
import type { Latencies } from './processes/bystander.ts'
import type { Population } from './population.ts'
import type { Observations } from './route.ts'
import type { Usage } from './worker.ts'

/** One run of one way over Secrets that were all stale. */
export interface Measurement extends Usage, Observations {
  /** How many it re-encrypted; fewer than the case has where the run was a sample. */
  readonly secrets: number
}

/** What comes after the pass, until all is proved. */
export interface ProofMeasurement extends Usage {
  readonly verdict: string
  readonly basis: string
}

/** All that was measured on one population over one round trip. */
export interface CaseResult {
  readonly population: Population
  readonly rttMs: number
  readonly apiServers: number
  /** Requests at once with which the ceiling was highest. */
  readonly ceilingConcurrency: number
  readonly idle: Latencies
  readonly action: readonly Measurement[]
  readonly proof: ProofMeasurement
  readonly ceiling: readonly Measurement[]
  readonly kubectl: Measurement
  readonly kubectlPerNamespace: Measurement
}

/** A way's figures over all of its runs in one case. */
export interface Figures {
  /** For all Secrets of the case; the median of the runs. */
  readonly seconds: number
  /** The seconds are those of a sample, times what it is of the whole. */
  readonly extrapolated: boolean
  readonly patchesPerSecond: number
  readonly cpuSecondsPerThousand: number
  readonly peakRssBytes: number
  readonly receivedBytesPerSecret: number
  readonly bystander: Latencies
}

export function figuresOf(runs: readonly Measurement[], population: Population): Figures {
  const median = (of: (run: Measurement) => number): number => quantile(runs.map(of), 0.5)
  const secondsEach = median(({ seconds, secrets }) => seconds / secrets)
  return {
    seconds: secondsEach * population.secrets,
    extrapolated: runs.some(({ secrets }) => secrets < population.secrets),
    patchesPerSecond: 1 / secondsEach,
    cpuSecondsPerThousand: median(({ cpuSeconds, secrets }) => (cpuSeconds / secrets) * 1000),
    peakRssBytes: Math.max(...runs.map(({ peakRssBytes }) => peakRssBytes)),
    receivedBytesPerSecret: median(({ receivedBytes, secrets }) => receivedBytes / secrets),
    bystander: {
      get: runs.flatMap(({ bystander }) => bystander.get),
      put: runs.flatMap(({ bystander }) => bystander.put),
      failed: runs.reduce((sum, { bystander }) => sum + bystander.failed, 0)
    }
  }
}
