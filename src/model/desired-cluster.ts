import type { ClusterName } from './cluster.ts'
import type { Key } from './key-id.ts'
import type { NetworkAccess } from './kms-profile.ts'

/** What one cluster is to be like: an entry of a desired state. */
export interface DesiredCluster {
  /** Short and unique: in names of jobs, artifacts and concurrency groups. */
  readonly name: string
  readonly cluster: ClusterName
  readonly enabled: boolean
  /** Never undefined where `enabled`. Without a version the cluster follows the key's newest one. */
  readonly key: Key | undefined
  readonly networkAccess: NetworkAccess
  /** ARM id. */
  readonly vaultResourceId: string | undefined
  /** In milliseconds; never together with a version of the key. */
  readonly maxKeyAge: number | undefined
  /** GitHub environment of the job that applies a change. */
  readonly environment: string | undefined
}
