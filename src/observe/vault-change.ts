import { clusterFromBody } from '../azure/cluster-body.ts'
import { unlessForbidden } from '../errors.ts'
import type { Memory } from '../memory.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import type { ObservedCluster } from '../model/observed.ts'
import { permits } from '../model/permissions.ts'
import type { Permission, Vault, VaultChange } from '../model/vault.ts'
import type { Platform } from '../platform.ts'

const CHANGE = 'Microsoft.KeyVault/vaults/write'

/** What stands against opening or closing the vault that a cluster uses; asked for once a run. */
export async function observeVaultChange(
  vault: Vault,
  { cluster }: ObservedCluster,
  platform: Platform,
  { seen }: Memory
): Promise<VaultChange> {
  seen.vaultChange ??= Promise.all([mayChange(vault, platform), publicUsers(vault, cluster.id, platform)]).then(
    ([permission, users]) => ({ permission, publicUsers: users })
  )
  return await seen.vaultChange
}

async function mayChange({ id }: Vault, { authorization, signal }: Platform): Promise<Permission> {
  const roles = await authorization.ownPermissions(id, signal)
  if (roles === undefined) return 'unknown'
  return permits(roles, { action: CHANGE }) ? 'granted' : 'missing'
}

/** Other clusters of the subscription that have the vault attached as Public; undefined where they may not be listed. */
async function publicUsers(
  vault: Vault,
  ownId: string,
  { inventory, signal }: Platform
): Promise<readonly string[] | undefined> {
  const listed = await inventory.list(undefined, signal).catch(unlessForbidden)
  return listed
    ?.map(({ body }) => clusterFromBody(body))
    .filter(({ id, kms }) => {
      if (id.toLowerCase() === ownId.toLowerCase() || !kms.enabled || kms.networkAccess === 'Private') return false
      return keyVersionFrom(kms.keyId)?.vaultUrl.toLowerCase() === vault.url.toLowerCase()
    })
    .map(({ id }) => id)
}
