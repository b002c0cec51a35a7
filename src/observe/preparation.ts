import { groupOf as groupNameOf } from '../model/arm-id.ts'
import type { Memory } from '../memory.ts'
import {
  keyScope,
  type ObservedPreparation,
  type VaultKeyObservation,
  type WantedPreparation
} from '../model/preparation.ts'
import { isSpreading } from '../model/preparation-access.ts'
import type { Vault } from '../model/vault.ts'
import type { Platform } from '../platform.ts'

/** What there is of what `prepare` is to make. Changes nothing. */
export async function observePreparation(
  wanted: WantedPreparation,
  platform: Platform,
  memory: Memory,
  now: number
): Promise<ObservedPreparation> {
  const { vaults, identities, signal } = platform
  const [vault, identity, tenantId] = await Promise.all([
    vaults.read(wanted.vaultId, signal),
    identities.read(wanted.identityId, signal),
    (memory.seen.tenantId ??= platform.tenantId())
  ])
  const present = vault.kind === 'readable' ? vault.vault : undefined
  const isVaultMissing = vault.kind === 'unreadable' && vault.reason === 'not-found'
  const [vaultGroup, identityGroup, key] = await Promise.all([
    isVaultMissing ? groupOf(wanted.vaultId, platform) : undefined,
    identity === undefined ? groupOf(wanted.identityId, platform) : undefined,
    present && readKey(wanted, present, identity?.tenantId ?? tenantId, platform, now)
  ])
  const vaultLocation = vaultGroup?.location && (wanted.location ?? vaultGroup.location)
  return {
    vault,
    deletedVault: vaultLocation && (await vaults.findDeleted(wanted.vaultId, vaultLocation, signal)),
    key,
    identity,
    tenantId,
    grants: present && identity ? await grantsOf(identity.principalId, present, key, wanted, platform) : [],
    vaultLocation,
    identityLocation: identityGroup?.location && (wanted.location ?? identityGroup.location),
    missingGroups: [
      ...new Set(
        [vaultGroup, identityGroup].flatMap((group) => (group && group.location === undefined ? group.name : []))
      )
    ],
    made: new Map(memory.made)
  }
}

async function groupOf(armId: string, platform: Platform) {
  return { name: groupNameOf(armId).name, location: await platform.locationOfGroup(armId) }
}

/** Key Vault’s own API knows deleted keys, where the runner reaches it. */
async function readKey(
  { vaultUrl, keyName }: WantedPreparation,
  vault: Vault,
  tenantId: string | undefined,
  { vaultKeys, keyVault, signal }: Platform,
  now: number
): Promise<VaultKeyObservation> {
  const key = await vaultKeys.read(vault.id, keyName, now, signal)
  if (key.kind === 'readable' || key.reason !== 'not-found') return key
  const isOpen = vault.publicNetworkAccess === 'Enabled' && !vault.selectedNetworks
  const isOurs = vault.tenantId.toLowerCase() === tenantId?.toLowerCase()
  // A vault that is new has none, and its name may lead nowhere yet.
  if (!isOpen || !isOurs || isSpreading(vault.createdAt, now)) return key
  return (await keyVault.isDeleted(vaultUrl, keyName, signal)) ? { ...key, reason: 'deleted' } : key
}

/** Roles hold at the key too that were given on the vault or above; a key that is not there is asked for none. */
async function grantsOf(
  principalId: string,
  vault: Vault,
  key: VaultKeyObservation | undefined,
  { keyName }: WantedPreparation,
  { authorization, signal }: Platform
) {
  const scope = key?.kind === 'readable' ? keyScope({ vaultId: vault.id, keyName }) : vault.id
  return await authorization.grantsOf(principalId, scope, signal)
}
