import { refusal, type Finding } from '../model/finding.ts'
import type { Observed } from '../model/observed.ts'
import type { Vault } from '../model/vault.ts'

/** Whether this run can open or close the vault: to find out only while KMS is off would leave the Secrets without a key. */
export function checkVaultChange({ vaultChange }: Observed, vault: Vault): readonly Finding[] {
  if (vaultChange?.permission !== 'missing') return []
  return [
    refusal(
      'authorization-failed',
      `The identity of this workflow may not change the vault ${vault.name}: it lacks Microsoft.KeyVault/vaults/write on ${vault.id}.`,
      `Grant the role: \`az role assignment create --assignee <client id> --role "Key Vault Contributor" --scope ${vault.id}\`.`
    )
  ]
}
