import { refusal, type Finding } from '../model/finding.ts'
import type { VaultObservation } from '../model/vault.ts'

/** What the workflow may not see can't be checked before it is attached. */
export function checkVaultVisible(vault: VaultObservation | undefined): readonly Finding[] {
  if (vault?.kind !== 'unreadable' || vault.reason === 'other-tenant') return []
  return [refusal('vault-not-visible', vault.message)]
}
