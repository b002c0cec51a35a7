import { refusal, type Finding } from '../model/finding.ts'
import type { VaultObservation } from '../model/vault.ts'

/** AKS signs in to the vault in the cluster's own tenant. */
export function checkVaultTenant(
  vault: VaultObservation | undefined,
  tenantId: string | undefined
): readonly Finding[] {
  if (vault?.kind === 'unreadable' && vault.reason === 'other-tenant') {
    return [refusal('vault-other-tenant', vault.message)]
  }
  if (vault?.kind !== 'readable' || tenantId === undefined) return []
  const { name, tenantId: ofVault } = vault.vault
  if (ofVault.toLowerCase() === tenantId.toLowerCase()) return []
  return [
    refusal('vault-other-tenant', `The vault ${name} belongs to the tenant ${ofVault}, the cluster to ${tenantId}.`)
  ]
}
