import type { Cluster } from './cluster.ts'
import type { Finding } from './finding.ts'
import type { ClusterRecord, Goal } from './goal.ts'
import type { KeyObservation, KeyVersionsObservation } from './key.ts'

/** Everything that a decision may depend on, read at one moment. */
export interface Observed {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly cluster: Cluster
  /** Whether this run's own passes have proved every Secret under the cluster's present profile. */
  readonly secretsProved: boolean
  /** What the record in the cluster says; empty where there is none or it may not be read. */
  readonly record: ClusterRecord
  /** The goal under way: the record's, or this run's own where it may not be recorded. */
  readonly goal: { readonly goal: Goal; readonly fromEarlierRun: boolean } | undefined
  /** By key version url in lower case: the pinned, the requested, the newest and the goal's version, as far as there are. */
  readonly keys: ReadonlyMap<string, KeyObservation>
  /** All versions of the key that the cluster pins; undefined when KMS is off. */
  readonly keyVersions: KeyVersionsObservation | undefined
  /** Url of the key version that this run made: taken whatever the vault's list shows by now. */
  readonly madeKeyId: string | undefined
  /** What the edges noticed on the way. */
  readonly findings: readonly Finding[]
}

export function keyOf(observed: Observed, keyId: string): KeyObservation | undefined {
  return observed.keys.get(keyId.toLowerCase())
}
