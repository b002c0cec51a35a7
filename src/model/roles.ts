import type { RolePermissions } from './permissions.ts'

/** A built-in role. */
export interface Role {
  readonly name: string
  readonly id: string
  /** The part of its permissions that AKS needs here. */
  readonly permissions: RolePermissions
}

/**
 * The roles that the identity of a cluster gets, by what they are for. Sources: learn.microsoft.com/azure/aks/use-kms-etcd-encryption
 * and learn.microsoft.com/azure/role-based-access-control/built-in-roles/security
 */
export const ROLES = {
  'use-key': {
    name: 'Key Vault Crypto User',
    id: '12338af0-0e69-4776-bea7-57ae8d297424',
    permissions: {
      actions: [],
      notActions: [],
      dataActions: ['Microsoft.KeyVault/vaults/keys/encrypt/action', 'Microsoft.KeyVault/vaults/keys/decrypt/action'],
      notDataActions: []
    }
  },
  'approve-private-endpoint': {
    name: 'Key Vault Contributor',
    id: 'f25e0fa2-a7c8-4377-a976-54943a77a395',
    permissions: { actions: ['Microsoft.KeyVault/*'], notActions: [], dataActions: [], notDataActions: [] }
  }
} as const satisfies Readonly<Record<string, Role>>

export type Purpose = keyof typeof ROLES
