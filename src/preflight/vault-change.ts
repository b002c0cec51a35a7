import { groupOf, nameOf } from '../model/arm-id.ts'
import { refusal, type Finding } from '../model/finding.ts'
import type { Observed } from '../model/observed.ts'
import type { Vault } from '../model/vault.ts'

/** What stands against opening or closing a vault: to find it out only while KMS is off would leave the Secrets without a key. */
export function checkVaultChange(
  { vaultChange }: Observed,
  vault: Vault,
  access: Vault['publicNetworkAccess']
): readonly Finding[] {
  const findings: Finding[] = []
  if (vaultChange?.permission === 'missing') {
    findings.push(
      refusal(
        'authorization-failed',
        `The identity of this workflow may not change the vault ${vault.name}: it lacks Microsoft.KeyVault/vaults/write on ${vault.id}.`,
        `Grant the role: \`az role assignment create --assignee <client id> --role "Key Vault Contributor" --scope ${vault.id}\`.`
      )
    )
  }
  const others = vaultChange?.publicUsers ?? []
  if (access === 'Disabled' && others.length > 0) {
    findings.push(
      refusal(
        'vault-used-by-others',
        `The vault ${vault.name} is attached as Public to ${others.map(inWords).join(', ')}.`
      )
    )
  }
  return findings
}

/** `aks2 (resource group rg2)` */
function inWords(clusterId: string): string {
  return `${nameOf(clusterId)} (resource group ${groupOf(clusterId).name})`
}
