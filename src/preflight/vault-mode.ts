import { refusal, type Finding } from '../model/finding.ts'
import type { KmsProfile } from '../model/kms-profile.ts'

/** AKS can't change how an attached vault is reached; another vault may have another mode. */
export function checkVaultMode(current: KmsProfile, wanted: KmsProfile): readonly Finding[] {
  if (!current.enabled || !wanted.enabled || current.networkAccess === wanted.networkAccess) return []
  if (vaultOf(current.keyId) !== vaultOf(wanted.keyId)) return []
  return [
    refusal(
      'vault-mode-differs',
      `The vault is attached as ${current.networkAccess}, and ${wanted.networkAccess} was asked for.`
    )
  ]
}

function vaultOf(keyId: string): string {
  return new URL(keyId).host
}
