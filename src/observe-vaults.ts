import type { Memory } from './memory.ts'
import type { AttachedVault } from './model/attached-vault.ts'
import type { ClusterIdentity } from './model/cluster.ts'
import { accessKey, type Observed } from './model/observed.ts'
import { permits } from './model/permissions.ts'
import type { Permission, Vault, VaultAccess, VaultObservation } from './model/vault.ts'
import { vaultAccess } from './model/vault-access.ts'
import type { Platform } from './platform.ts'

const ASSIGN = 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action'

type SeenVaults = Pick<Observed, 'vaults' | 'access' | 'assignIdentity' | 'tenantId'>

/**
 * The vaults in question, and who may do what with them. Nothing but a step of ours changes these in a run, so that each is asked for
 * once; a step that does change a vault forgets what is remembered of it.
 */
export async function observeVaults(
  attached: readonly AttachedVault[],
  identity: ClusterIdentity | undefined,
  platform: Platform,
  memory: Memory
): Promise<SeenVaults> {
  const { seen } = memory
  const [tenantId, assignIdentity, ...vaults] = await Promise.all([
    (seen.tenantId ??= platform.tenantId()),
    (seen.assignIdentity ??= mayAssign(identity, platform)),
    ...attached.map(async ({ url, id, name, keyNames }) => {
      const vault = await remembered(seen.vaults, url.toLowerCase(), () =>
        id === undefined ? platform.vaults.find(name, platform.signal) : platform.vaults.read(id, platform.signal)
      )
      const access = await Promise.all(
        keyNames.map(async (keyName): Promise<[string, VaultAccess]> => {
          const key = accessKey(url, keyName)
          return [key, await remembered(seen.access, key, () => accessTo(vault, keyName, identity, platform))]
        })
      )
      return { url: url.toLowerCase(), vault, access }
    })
  ])
  return {
    tenantId,
    assignIdentity,
    vaults: new Map(vaults.map(({ url, vault }) => [url, vault])),
    access: new Map(vaults.flatMap(({ access }) => access))
  }
}

function remembered<T>(known: Map<string, Promise<T>>, name: string, ask: () => Promise<T>): Promise<T> {
  const present = known.get(name)
  if (present !== undefined) return present
  const asked = ask()
  known.set(name, asked)
  return asked
}

async function mayAssign(
  identity: ClusterIdentity | undefined,
  { authorization, signal }: Platform
): Promise<Permission> {
  const roles = identity && (await authorization.ownPermissions(identity.id, signal))
  if (roles === undefined) return 'unknown'
  return permits(roles, { action: ASSIGN }) ? 'granted' : 'missing'
}

async function accessTo(
  observation: VaultObservation,
  keyName: string,
  identity: ClusterIdentity | undefined,
  platform: Platform
): Promise<VaultAccess> {
  const principalId = identity?.principalId
  if (observation.kind === 'unreadable' || principalId === undefined) {
    return { useKey: 'unknown', approvePrivateEndpoint: 'unknown' }
  }
  const { vault } = observation
  return vaultAccess(vault, keyName, principalId, await grantsAt(vault, keyName, principalId, platform))
}

function grantsAt(vault: Vault, keyName: string, principalId: string, { authorization, signal }: Platform) {
  return authorization.grantsOf(principalId, `${vault.id}/keys/${keyName}`, signal)
}
