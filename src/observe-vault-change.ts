import type { Memory } from './memory.ts'
import { permits } from './model/permissions.ts'
import type { Vault, VaultChange } from './model/vault.ts'
import type { Platform } from './platform.ts'

const CHANGE = 'Microsoft.KeyVault/vaults/write'

/** What stands against opening or closing a vault; asked for once a run. */
export async function observeVaultChange(vault: Vault, platform: Platform, { seen }: Memory): Promise<VaultChange> {
  return await (seen.vaultChange ??= look(vault, platform))
}

async function look({ id }: Vault, { authorization, signal }: Platform): Promise<VaultChange> {
  const roles = await authorization.ownPermissions(id, signal)
  return { permission: roles === undefined ? 'unknown' : permits(roles, { action: CHANGE }) ? 'granted' : 'missing' }
}
