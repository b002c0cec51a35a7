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

/** The names in the ARM id of a cluster; undefined where the text is none. */
export function clusterNameFrom(armId: string): ClusterName | undefined {
  const [, subscriptionId, resourceGroup, name] =
    /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/.*\/managedClusters\/([^/]+)$/i.exec(armId) ?? []
  if (subscriptionId === undefined || resourceGroup === undefined || name === undefined) return undefined
  return { subscriptionId, resourceGroup, name }
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
  /** Versions that it can be upgraded to from here; undefined where they were not read, or Azure says nothing of the pool. */
  readonly upgrades: readonly string[] | undefined
}

export interface ClusterIdentity {
  /** ARM id. */
  readonly id: string
  /** Object id in Entra; undefined where Azure does not show it. */
  readonly principalId: string | undefined
}

/** How the API server is reached, by what Azure says of it. */
export interface ApiServerAccess {
  /** Private addresses alone lead to it. */
  readonly isPrivate: boolean
  /** CIDR ranges that its public address admits; empty: it admits everybody. */
  readonly authorizedIpRanges: readonly string[]
}

/**
 * The newer “KMS data encryption”, in which AKS itself rotates and re-encrypts: under a key of the platform, or under one of
 * the customer's vault whose newest version AKS follows.
 * Source: learn.microsoft.com/azure/aks/kms-data-encryption-concepts
 */
export type DataEncryption = 'platform-key' | 'customer-key'

/** From this minor on a cluster can have KMS data encryption. Source: as above. */
export const FIRST_DATA_ENCRYPTION_MINOR = 33

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
  /** Undefined where the cluster does not have it. */
  readonly dataEncryption: DataEncryption | undefined
  readonly apiServerAccess: ApiServerAccess
  /** Kubernetes authorizes by roles of Azure; otherwise by its own RBAC alone. */
  readonly azureRbac: boolean
  /** `securityProfile` exactly as Azure shows it, for the report. */
  readonly securityProfile: JsonObject
  /** Versions that the control plane can be upgraded to from here; undefined where they were not read. */
  readonly upgrades: readonly string[] | undefined
}
