import type { JsonObject } from './json.ts'
import type { KmsProfile } from './kms-profile.ts'

export interface ClusterName {
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly name: string
}

/** The ARM id, in the spelling of the request. */
export function clusterId(cluster: ClusterName): string {
  return `/subscriptions/${cluster.subscriptionId}/resourceGroups/${cluster.resourceGroup}/providers/Microsoft.ContainerService/managedClusters/${cluster.name}`
}

/**
 * Where the cluster stands: `ready` when the cluster and all its pools are Succeeded; `changing` while any of them is under
 * an operation; `failed` when the last operation on the cluster or a pool failed; `stopped` and `deleting` as named.
 */
export type ClusterPhase = 'ready' | 'changing' | 'failed' | 'stopped' | 'deleting'

export interface NodePool {
  readonly name: string
  readonly kubernetesVersion: string
  readonly provisioningState: string
}

export interface ClusterIdentity {
  /** ARM id. */
  readonly id: string
  /** Object id in Entra; undefined where Azure does not show it. */
  readonly principalId: string | undefined
}

/** What is observed of a managed cluster, as far as decisions and the report depend on it. */
export interface Cluster {
  readonly id: string
  readonly location: string
  readonly phase: ClusterPhase
  /** Azure's own word for the phase, such as `Updating` or `Upgrading`. */
  readonly provisioningState: string
  /** The full version the control plane runs, such as `1.26.12`. */
  readonly kubernetesVersion: string
  readonly pools: readonly NodePool[]
  /** `UserAssigned`, `SystemAssigned`, `None`, or empty where the service says none. */
  readonly identityType: string
  /** The control plane's user-assigned identity, of which there is at most one. */
  readonly identity: ClusterIdentity | undefined
  /** Whether the API server is in a network of the cluster's own; a Private vault is reached no other way. */
  readonly vnetIntegration: boolean
  readonly kms: KmsProfile
  /** `securityProfile` exactly as Azure shows it, for the report. */
  readonly securityProfile: JsonObject
  /** Versions that the control plane can be upgraded to from here; undefined where they were not read. */
  readonly upgrades: readonly string[] | undefined
}
