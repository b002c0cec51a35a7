import { quantile } from '../spread.ts'
import type { Latencies } from './processes/bystander.ts'
import type { Population } from './population.ts'
import type { Observations } from './route.ts'
import type { Usage } from './worker.ts'

/** One run of one way over Secrets that were all stale. */
export interface Measurement extends Usage, Observations {
  /** How many it re-encrypted; fewer than the case has where the run was a sample. */
  readonly secrets: number
  /** Of the seconds, those before the first Secret, where the way lists all before it begins. */
  readonly startSeconds?: number
}

/** Seconds that a run would have taken for so many Secrets. What comes before the first is there once, however many there are. */
export function secondsFor(secrets: number, run: Measurement): number {
  const { startSeconds = 0, seconds } = run
  return startSeconds + (seconds - startSeconds) * (secrets / run.secrets)
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
  /** The seconds are worked out from those of a sample. */
  readonly extrapolated: boolean
  readonly patchesPerSecond: number
  readonly cpuSecondsPerThousand: number
  readonly peakRssBytes: number
  readonly receivedBytesPerSecret: number
  readonly bystander: Latencies
}

export function figuresOf(runs: readonly Measurement[], population: Population): Figures {
  const median = (of: (run: Measurement) => number): number => quantile(runs.map(of), 0.5)
  const seconds = median((run) => secondsFor(population.secrets, run))
  return {
    seconds,
    extrapolated: runs.some(({ secrets }) => secrets < population.secrets),
    patchesPerSecond: population.secrets / seconds,
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
