import type { Finding } from '../model/finding.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import type { KmsOn, KmsProfile } from '../model/kms-profile.ts'
import { keyOf, vaultOf, type Observed, type ObservedCluster } from '../model/observed.ts'
import type { VaultObservation } from '../model/vault.ts'
import { checkIdentity, checkIdentityAssignment } from './identity.ts'
import { checkKeyAccess } from './key-access.ts'
import { checkKey, unreadableKey } from './key.ts'
import { advisePurgeProtection } from './purge-protection.ts'
import { checkVaultMode } from './vault-mode.ts'
import { checkVaultNetwork } from './vault-network.ts'
import { checkVaultTenant } from './vault-tenant.ts'
import { checkVaultVisible } from './vault-visible.ts'
import { checkVnetIntegration } from './vnet-integration.ts'

/** Everything that stands against giving the cluster this profile. What explains an unreadable key comes before it. */
export function checkProfile(observed: ObservedCluster, wanted: KmsProfile): readonly Finding[] {
  const { cluster, now, tenantId, assignIdentity } = observed
  const assignment = checkIdentityAssignment(cluster, assignIdentity)
  if (!wanted.enabled) return assignment
  const key = keyOf(observed, wanted.keyId)
  const vault = vaultOfProfile(observed, wanted)
  return [
    ...checkIdentity(cluster),
    ...assignment,
    ...checkVaultMode(cluster.kms, wanted),
    ...checkVnetIntegration(cluster, wanted),
    ...checkVaultTenant(vault, tenantId),
    ...checkVaultNetwork(vault, wanted.networkAccess),
    ...(key === undefined ? [unreadableKey('not-found', `${wanted.keyId} was not read.`)] : checkKey(key, now)),
    ...checkVaultVisible(vault),
    ...checkKeyAccess(observed, wanted)
  ]
}

/** What is to be said of a profile although nothing stands against it. */
export function adviseProfile(observed: Observed, profile: KmsProfile): readonly Finding[] {
  return profile.enabled ? advisePurgeProtection(vaultOfProfile(observed, profile)) : []
}

function vaultOfProfile(observed: Observed, { keyId }: KmsOn): VaultObservation | undefined {
  const key = keyVersionFrom(keyId)
  return key && vaultOf(observed, key.vaultUrl)
}
