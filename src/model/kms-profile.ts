import { sameKeyVersion } from './key-id.ts'

export type NetworkAccess = 'Public' | 'Private'

/** `securityProfile.azureKeyVaultKms` of a managed cluster, as far as decisions depend on it. */
export type KmsProfile =
  | { readonly enabled: false }
  | {
      readonly enabled: true
      /** The pinned key version, or a versionless key id on clusters with the newer "KMS data encryption". */
      readonly keyId: string
      readonly networkAccess: NetworkAccess
      /** ARM id of the vault; only with `Private`. */
      readonly vaultResourceId: string | undefined
    }

export type KmsOn = Extract<KmsProfile, { readonly enabled: true }>

export const KMS_OFF: KmsProfile = { enabled: false }

/** AKS takes the vault's id with `Private` only. */
export function kmsOn(keyId: string, networkAccess: NetworkAccess, vaultResourceId: string | undefined): KmsOn {
  return {
    enabled: true,
    keyId,
    networkAccess,
    vaultResourceId: networkAccess === 'Private' ? vaultResourceId : undefined
  }
}

export function sameKmsProfile(a: KmsProfile, b: KmsProfile): boolean {
  if (!a.enabled || !b.enabled) return a.enabled === b.enabled
  return (
    sameKeyVersion(a.keyId, b.keyId) &&
    a.networkAccess === b.networkAccess &&
    (a.vaultResourceId ?? '').toLowerCase() === (b.vaultResourceId ?? '').toLowerCase()
  )
}

/** Url of the key version that a cluster with this profile encrypts under; undefined when KMS is off. */
export function keyIdOf(profile: KmsProfile): string | undefined {
  return profile.enabled ? profile.keyId : undefined
}
