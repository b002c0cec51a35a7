import type { Cloud } from './azure/clouds.ts'
import type { ClusterName } from './model/cluster.ts'
import type { KeyVersion } from './model/key-id.ts'
import type { NetworkAccess } from './model/kms-profile.ts'
import type { OperationName } from './model/operation.ts'

/** How the run signs in to Azure. */
export type CredentialChoice =
  | { readonly kind: 'oidc'; readonly clientId: string; readonly tenantId: string }
  | { readonly kind: 'azure-cli'; readonly tenantId: string | undefined }
  /** `clientId` undefined: the system-assigned identity of the runner's machine. */
  | { readonly kind: 'managed-identity'; readonly clientId: string | undefined }

/** What is asked for, validated. */
export interface Request {
  readonly operation: OperationName
  readonly dryRun: boolean
  readonly cluster: ClusterName
  readonly cloud: Cloud
  readonly credential: CredentialChoice
  /** Text of a kubeconfig; undefined: AKS is asked for one. */
  readonly kubeconfig: string | undefined
  readonly key: KeyVersion | undefined
  /** Undefined: as the cluster has it, `Public` where it has none. */
  readonly networkAccess: NetworkAccess | undefined
  readonly vaultResourceId: string | undefined
  readonly kubernetesVersion: string | undefined
  /** In milliseconds. */
  readonly maxKeyAge: number | undefined
  /** In milliseconds, for the whole run. */
  readonly timeout: number
  /** Namespace of the record and the lock. */
  readonly recordNamespace: string
}
