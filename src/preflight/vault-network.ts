import { refusal, type Finding } from '../model/finding.ts'
import type { NetworkAccess } from '../model/kms-profile.ts'
import type { VaultObservation } from '../model/vault.ts'

/** AKS comes to a Public vault from addresses that nobody can admit one by one. */
export function checkVaultNetwork(vault: VaultObservation | undefined, access: NetworkAccess): readonly Finding[] {
  if (vault?.kind !== 'readable' || access === 'Private') return []
  const { name, publicNetworkAccess, selectedNetworks } = vault.vault
  if (publicNetworkAccess === 'Disabled') {
    return [refusal('vault-public-access-disabled', `The vault ${name} takes no connections from public networks.`)]
  }
  if (!selectedNetworks) return []
  return [refusal('vault-selected-networks', `The firewall of the vault ${name} admits selected networks only.`)]
}
