/** A key vault, as Azure Resource Manager shows it. */
export interface Vault {
  /** ARM id. */
  readonly id: string
  readonly name: string
  /** `https://<name>.<suffix>`, without a slash at the end. */
  readonly url: string
  readonly location: string
  readonly tenantId: string
  /** Azure RBAC rather than access policies. */
  readonly rbac: boolean
  readonly softDelete: boolean
  readonly purgeProtection: boolean
  /** `Disabled` where only private endpoints lead to it. */
  readonly publicNetworkAccess: 'Enabled' | 'Disabled'
  /** Whether its firewall admits selected networks only. */
  readonly selectedNetworks: boolean
  readonly accessPolicies: readonly AccessPolicy[]
  /** Milliseconds since the epoch; undefined where Azure does not say. */
  readonly createdAt: number | undefined
  /** False while Azure is still making it: its name may lead nowhere yet. */
  readonly provisioned: boolean
}

/** What one principal may do with the keys of a vault without Azure RBAC. */
export interface AccessPolicy {
  readonly objectId: string
  /** Key permissions in lower case, such as `encrypt`; `all` stands for each of them. */
  readonly keys: readonly string[]
}

export type VaultObservation =
  | { readonly kind: 'readable'; readonly vault: Vault }
  | { readonly kind: 'unreadable'; readonly reason: VaultUnreadable; readonly message: string }

/** `not-found`: no vault of this name or id is visible to the identity. */
export type VaultUnreadable = 'not-found' | 'forbidden' | 'other-tenant'

/** Whether the data plane of a vault answers this run. */
export type DataPlane = { readonly kind: 'reachable' } | { readonly kind: 'unreachable'; readonly message: string }

/** Whether somebody may do something; `unknown` where the identity of the workflow may not see it. */
export type Permission = 'granted' | 'missing' | 'unknown'

/** What the cluster's own identity may do with a key and its vault. */
export interface VaultAccess {
  /** Encrypt and decrypt with the key. */
  readonly useKey: Permission
  /** Approve the private endpoint that AKS makes to a Private vault. */
  readonly approvePrivateEndpoint: Permission
}

/** What stands against opening or closing a vault. */
export interface VaultChange {
  /** Of the workflow's own identity. */
  readonly permission: Permission
  /** ARM ids of other clusters that have it attached as Public; undefined where they may not be seen. */
  readonly publicUsers: readonly string[] | undefined
}
