import { grantedAt, type Action, type Grant } from './permissions.ts'
import type { AccessPolicy, Permission, Vault, VaultAccess } from './vault.ts'

/** What AKS does with the key. Source: learn.microsoft.com/azure/aks/use-kms-etcd-encryption */
const USE_KEY = ['encrypt', 'decrypt'] as const
/** What it takes to connect to a Private vault. */
const APPROVE_ENDPOINT = 'Microsoft.KeyVault/vaults/privateEndpointConnectionsApproval/action'

/** What a principal may do with a key; `grants` are its roles at the key, undefined where they may not be read. */
export function vaultAccess(
  vault: Vault,
  keyName: string,
  principalId: string,
  grants: readonly Grant[] | undefined
): VaultAccess {
  const at = (scope: string, wanted: Action): Permission =>
    grants === undefined ? 'unknown' : grantedAt(grants, scope, wanted)
  const key = `${vault.id}/keys/${keyName}`
  return {
    useKey: vault.rbac
      ? least(USE_KEY.map((name) => at(key, { dataAction: `Microsoft.KeyVault/vaults/keys/${name}/action` })))
      : byPolicy(vault.accessPolicies, principalId),
    // Never by an access policy: those are about what is in the vault.
    approvePrivateEndpoint: at(vault.id, { action: APPROVE_ENDPOINT })
  }
}

function least(permissions: readonly Permission[]): Permission {
  if (permissions.includes('missing')) return 'missing'
  return permissions.includes('unknown') ? 'unknown' : 'granted'
}

/** A policy may be a group's, and who is in it is Entra's knowledge. */
function byPolicy(policies: readonly AccessPolicy[], principalId: string): Permission {
  const permitting = policies.filter(
    ({ keys }) => keys.includes('all') || USE_KEY.every((operation) => keys.includes(operation))
  )
  if (permitting.length === 0) return 'missing'
  return permitting.some(({ objectId }) => objectId.toLowerCase() === principalId.toLowerCase()) ? 'granted' : 'unknown'
}
