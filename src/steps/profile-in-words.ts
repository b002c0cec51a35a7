import { keyVersionFrom } from '../model/key-id.ts'
import type { KmsProfile } from '../model/kms-profile.ts'
import { plannedName } from './create-key-version.ts'

/** `kv-platform/etcd version 3f2a91… (Public)`, or `off`. */
export function profileInWords(profile: KmsProfile): string {
  if (!profile.enabled) return 'off'
  const key = keyVersionFrom(profile.keyId)
  if (key === undefined) return profile.keyId
  const version = plannedName(key.version) ?? `version ${key.version}`
  return `${key.vaultName}/${key.name} ${version} (${profile.networkAccess})`
}
