import type { Memory } from '../memory.ts'
import type { AttachedVault } from '../model/attached-vault.ts'
import type { ClusterIdentity } from '../model/cluster.ts'
import type { KeyReader } from '../azure/key-vault.ts'
import { keyVersionFrom, type Key } from '../model/key-id.ts'
import { accessKey, type Observed } from '../model/observed.ts'
import { mayGiveKey, type OperationName } from '../model/operation.ts'
import { permits } from '../model/permissions.ts'
import type { Decision, Step } from '../model/step.ts'
import type { DataPlane, Permission, Vault, VaultAccess, VaultObservation } from '../model/vault.ts'
import { vaultAccess } from '../model/vault-access.ts'
import type { Platform } from '../platform.ts'
import { checkVaultTenant } from '../preflight/vault-tenant.ts'

const ASSIGN = 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action'

const NOT_ASKED: Permission = 'unknown'

type SeenVaults = Pick<Observed, 'vaults' | 'access' | 'assignIdentity' | 'tenantId'>

/**
 * The vaults in question, and who may do what with them. Nothing but a step of ours changes these in a run, so that each is asked for
 * once; a step that does change a vault forgets what is remembered of it.
 */
export async function observeVaults(
  operation: OperationName,
  attached: readonly AttachedVault[],
  identity: ClusterIdentity | undefined,
  platform: Platform,
  memory: Memory
): Promise<SeenVaults> {
  const { seen } = memory
  const givesKey = mayGiveKey(operation)
  const [tenantId, assignIdentity, ...vaults] = await Promise.all([
    givesKey ? (seen.tenantId ??= platform.tenantId()) : undefined,
    operation === 're-encrypt' ? NOT_ASKED : (seen.assignIdentity ??= mayAssign(identity, platform)),
    ...(givesKey ? attached : []).map(async ({ url, id, name, keyNames }) => {
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

/**
 * Who says what of a key's versions. Where a vault itself does not answer this run, Resource Manager does: a vault that AKS reaches by a
 * private endpoint keeps runners outside of its network out, and one of another tenant takes none of our tokens.
 */
export function keyReaders(
  attached: readonly AttachedVault[],
  { vaults, tenantId }: Pick<SeenVaults, 'vaults' | 'tenantId'>,
  { vaults: resources, keyVault }: Pick<Platform, 'vaults' | 'keyVault'>
): (key: Pick<Key, 'vaultUrl'>) => KeyReader {
  return ({ vaultUrl }) => {
    const vault = attached.find(({ url }) => url.toLowerCase() === vaultUrl.toLowerCase())
    const seen = vaults.get(vaultUrl.toLowerCase())
    const id = vault?.id ?? (seen?.kind === 'readable' ? seen.vault.id : undefined)
    const isClosed = vault?.isPrivate === true || checkVaultTenant(seen, tenantId).length > 0
    return isClosed && id !== undefined ? resources.keysOf(id) : keyVault
  }
}

/** Asked for only where a version is about to be made or repaired of a key that is read elsewhere than from its vault. */
export async function observeDataPlane(
  decision: Decision,
  readerOf: (key: Pick<Key, 'vaultUrl'>) => KeyReader,
  { keyVault, signal }: Platform,
  { seen }: Memory
): Promise<DataPlane | undefined> {
  const key = decision.kind === 'step' ? keyToChange(decision.step) : undefined
  if (key === undefined || readerOf(key) === keyVault) return undefined
  const answer = await (seen.dataPlane ??= keyVault.listVersions(key.vaultUrl, key.name, signal))
  return answer.kind === 'unreadable' && answer.reason === 'unreachable'
    ? { kind: 'unreachable', message: answer.message }
    : { kind: 'reachable' }
}

function keyToChange(step: Step): Pick<Key, 'vaultUrl' | 'name'> | undefined {
  if (step.kind === 'create-key-version') return { vaultUrl: step.vaultUrl, name: step.keyName }
  return step.kind === 'repair-key' ? keyVersionFrom(step.keyId) : undefined
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
