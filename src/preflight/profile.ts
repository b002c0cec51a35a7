import type { Finding } from '../model/finding.ts'
import type { KmsProfile } from '../model/kms-profile.ts'
import { keyOf, type ObservedCluster } from '../model/observed.ts'
import { checkIdentity } from './identity.ts'
import { checkKey, unreadableKey } from './key.ts'
import { checkVaultMode } from './vault-mode.ts'

/** Everything that is checked before the cluster is given this profile. */
export function checkProfile(observed: ObservedCluster, wanted: KmsProfile): readonly Finding[] {
  if (!wanted.enabled) return []
  const key = keyOf(observed, wanted.keyId)
  return [
    ...checkIdentity(observed.cluster),
    ...checkVaultMode(observed.cluster.kms, wanted),
    ...(key === undefined ? [unreadableKey('not-found', `${wanted.keyId} was not read.`)] : checkKey(key, observed.now))
  ]
}
