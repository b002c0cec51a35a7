import type { ClusterPhase } from './cluster.ts'
import type { Finding } from './finding.ts'
import type { NetworkAccess } from './kms-profile.ts'

/**
 * How the API servers of a cluster encrypt Secrets: with KMS `v1` or `v2` under the key version that AKS pins; by
 * `data-encryption`, the newer “KMS data encryption”, which rotates by itself; or `off`.
 */
export type KmsGeneration = 'off' | 'v1' | 'v2' | 'data-encryption'

/**
 * What is most urgent about a cluster, worst first. `failing`: something is broken, or breaks as soon as an API server starts
 * anew. `overdue`: the rotation is due for more than a day. `unknown`: KMS is on, and the key version could not be read.
 * `warning`: a finding that asks for something. `off`: KMS is off.
 */
export const STATUS_RESULTS = ['failing', 'overdue', 'due', 'unknown', 'warning', 'off', 'ok'] as const
export type StatusResult = (typeof STATUS_RESULTS)[number]

/** The key version that a cluster pins. Times are ISO 8601 in UTC. */
export interface KeyStatus {
  readonly createdAt: string
  readonly expiresAt: string | undefined
  readonly enabled: boolean
  /** Whole days since it was created. */
  readonly ageDays: number
  /** Usable versions of the same key that are newer; undefined where the versions may not be listed. */
  readonly newerVersions: number | undefined
}

/** What the record in the cluster says. Undefined members are not said. */
export interface RecordStatus {
  /** See ClusterRecord. */
  readonly provedKeyId: string | undefined
  readonly previousKeyId: string | undefined
  readonly provedAt: string | undefined
  readonly provedBy: string | undefined
  /** The operation that has begun and not ended. */
  readonly unfinished: string | undefined
}

/** What is known of one cluster, by looking only. */
export interface ClusterStatus {
  /** Unique among the clusters of one report: the cluster’s name, with `@` and its resource group where others have it too. */
  readonly name: string
  /** ARM id. */
  readonly id: string
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly clusterName: string
  readonly location: string
  readonly kubernetesVersion: string
  readonly phase: ClusterPhase
  /** Azure's own word for the phase. */
  readonly provisioningState: string
  readonly kms: KmsGeneration
  /** How the API servers reach the vault; undefined where they use none. */
  readonly networkAccess: NetworkAccess | undefined
  /** The key version in use, or the versionless key with `data-encryption`. */
  readonly keyId: string | undefined
  /** Undefined where no key version is in use, or it could not be read. */
  readonly key: KeyStatus | undefined
  /** When the key version in use reaches the age that was asked for, in ISO 8601; undefined where that can’t be said. */
  readonly dueAt: string | undefined
  /** Whether `rotate` would do something now. */
  readonly due: boolean
  readonly overdue: boolean
  /** Undefined where it could not be read. */
  readonly record: RecordStatus | undefined
  readonly result: StatusResult
  readonly findings: readonly Finding[]
}
