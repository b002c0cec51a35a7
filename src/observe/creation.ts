import { clusterFromBody } from '../azure/cluster-body.ts'
import { unlessForbidden } from '../errors.ts'
import type { Memory } from '../memory.ts'
import { attachedVaults } from '../model/attached-vault.ts'
import { clusterId, type Cluster } from '../model/cluster.ts'
import type { KeyObservation } from '../model/key.ts'
import type { Observed } from '../model/observed.ts'
import { keyReaders, observeVaults } from './vaults.ts'
import type { Platform } from '../platform.ts'
import { noteUnknownAccess } from '../preflight/key-access.ts'
import type { Request } from '../request.ts'

/** The cluster that `create` is to make, and the key and the vault that it is to be given. */
export async function observeCreation(
  request: Request,
  platform: Platform,
  memory: Memory,
  bare: Observed
): Promise<Observed> {
  const { key, networkAccess = 'Public', vaultResourceId } = request
  const definition = await readDefinition(request, platform)
  if (definition === undefined || key === undefined) return bare
  const attached = attachedVaults([{ key, networkAccess }], [vaultResourceId])
  const vaults = await observeVaults(request.operation, attached, definition.identity, platform, memory)
  const observation = await keyReaders(attached, vaults, platform)(key).readKey(key, platform.signal)
  const keys = new Map<string, KeyObservation>([[key.url.toLowerCase(), observation]])
  const seen: Observed = { ...bare, ...vaults, definition, keys }
  return { ...seen, findings: noteUnknownAccess(seen) }
}

/** The body names the control plane's identity by its id: who that is, Azure says to whoever may read it. */
async function readDefinition(
  { cluster, clusterDefinition }: Request,
  { identities, signal }: Platform
): Promise<Cluster | undefined> {
  if (cluster === undefined || clusterDefinition === undefined) return undefined
  const defined = { ...clusterFromBody(clusterDefinition), id: clusterId(cluster) }
  const identity = defined.identity && (await identities.read(defined.identity.id, signal).catch(unlessForbidden))
  if (identity === undefined) return defined
  return { ...defined, identity: { id: identity.id, principalId: identity.principalId } }
}
