import { finding, type Finding } from '../model/finding.ts'
import type { VaultObservation } from '../model/vault.ts'

/** A key that is purged takes every Secret under it along. */
export function advisePurgeProtection(vault: VaultObservation | undefined): readonly Finding[] {
  if (vault?.kind !== 'readable' || vault.vault.purgeProtection) return []
  const { name, softDelete } = vault.vault
  const without = softDelete ? 'no purge protection' : 'neither soft delete nor purge protection'
  return [
    finding(
      'warning',
      'purge-protection-missing',
      `The vault ${name} has ${without}: whoever may purge its keys can make every Secret unreadable for good.`,
      `Turn it on, which can’t be undone: \`az keyvault update --name ${name} --enable-purge-protection true\`.`
    )
  ]
}
