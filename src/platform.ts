import type { KeyVault } from './azure/key-vault.ts'
import type { ManagedClusters } from './azure/managed-clusters.ts'
import type { Kubernetes } from './kubernetes/kubernetes.ts'
import type { Log } from './log.ts'

/** Everything outside the process that a run touches. */
export interface Platform {
  readonly clusters: ManagedClusters
  readonly keyVault: KeyVault
  /** Connects at the first call, and gives the same connection from then on. */
  kubernetes(): Promise<Kubernetes>
  /** Ends all connections. */
  close(): Promise<void>
  /** Url of the workflow run; undefined outside GitHub Actions. */
  readonly run: string | undefined
  /** Milliseconds since the epoch. */
  now(): number
  readonly log: Log
  /** Aborted, with an ActionError as its reason, when the run is cancelled or out of time. */
  readonly signal: AbortSignal
}
