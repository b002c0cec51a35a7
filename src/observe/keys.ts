import type { KeyReader } from '../azure/key-vault.ts'
import type { Memory } from '../memory.ts'
import { attachedVaults, type AttachedVault, type Attachment } from '../model/attached-vault.ts'
import type { Cluster } from '../model/cluster.ts'
import { keyIdsBefore, type Goal } from '../model/goal.ts'
import { asObject, asText } from '../model/json.ts'
import { hasVersion, keyVersionFrom, sameKeyVersion, type Key, type KeyVersion } from '../model/key-id.ts'
import { usableVersions, type KeyObservation } from '../model/key.ts'
import { keyIdOf } from '../model/kms-profile.ts'
import { accessKey, type Observed, type ObservedCluster } from '../model/observed.ts'
import type { VersionLife } from '../model/preparation.ts'
import { observeVaultChange } from './vault-change.ts'
import { keyReaders, observeDataPlane, observeVaults } from './vaults.ts'
import { decide } from '../operations/decide.ts'
import { isRecorded } from '../operations/reach.ts'
import { changesMode } from '../operations/reconcile.ts'
import type { Platform } from '../platform.ts'
import { noteUnknownAccess } from '../preflight/key-access.ts'
import { checkKeysHeld } from '../preflight/keys-held.ts'
import { withRightsToPlan } from '../preflight/rights-to-plan.ts'
import type { Request } from '../request.ts'

/** The key version that the cluster encrypts under, and nothing else. */
export async function observeKeyInUse(
  request: Request,
  platform: Platform,
  memory: Memory,
  bare: ObservedCluster
): Promise<ObservedCluster> {
  const { cluster } = bare
  const { keyVault, signal } = platform
  const pinned = keyVersionFrom(keyIdOf(cluster.kms))
  if (pinned === undefined) return bare
  const attached = vaultsInQuestion(request, cluster, undefined)
  const vaults = await observeVaults(request.operation, attached, cluster.identity, platform, memory)
  const reader = keyReaders(attached, vaults, platform)(pinned)
  const read = await reader.readKey(pinned, signal)
  // Only the vault itself knows of deleted keys.
  const isGone = reader !== keyVault && read.kind === 'unreadable' && read.reason === 'not-found'
  const asked = isGone ? await keyVault.readKey(pinned, signal) : read
  const observation = asked.kind === 'unreadable' && asked.reason !== 'deleted' ? read : asked
  const isOwnRepair =
    observation.kind === 'readable' && memory.repairedKeyIds.some((keyId) => sameKeyVersion(keyId, pinned.url))
  const key: KeyObservation = isOwnRepair
    ? { ...observation, key: { repaired: bare.now, ...observation.key } }
    : observation
  return { ...bare, keys: new Map([[pinned.url.toLowerCase(), key]]) }
}

/** The keys in question, and the goal that the record or this run has. */
export async function observeKeys(
  request: Request,
  platform: Platform,
  memory: Memory,
  seen: ObservedCluster
): Promise<Observed> {
  const { signal } = platform
  const goal = seen.record.goal ?? memory.goal
  const pinned = keyVersionFrom(keyIdOf(seen.cluster.kms))
  const attached = vaultsInQuestion(request, seen.cluster, goal)
  const vaults = await observeVaults(request.operation, attached, seen.cluster.identity, platform, memory)
  const readerOf = keyReaders(attached, vaults, platform)
  const aimed = goal && keyVersionFrom(keyIdOf(goal.kms))
  const chosenAmong = keyToChooseFrom(request, pinned, goal?.operation === 'rotate' ? aimed : undefined)
  const keyVersions =
    chosenAmong && (await readerOf(chosenAmong).listVersions(chosenAmong.vaultUrl, chosenAmong.name, signal))
  const usable = keyVersions?.kind === 'readable' ? usableVersions(keyVersions.versions, seen.now) : []
  // To retire a key version takes two.
  const newest = usable.slice(-2).map(({ id }) => id)
  const desired = request.desired?.key
  const named = desired !== undefined && hasVersion(desired) ? desired : undefined
  const [previous] = pinned === undefined ? [] : keyIdsBefore(seen.record, pinned.url)
  const ids = [request.key, named, ...newest, ...[previous, ...memory.madeKeyIds].map(keyVersionFrom), aimed]
  const keys = await readKeys(ids, seen.keys, readerOf, signal)
  const rotationPolicy = await observeRotationPolicy(request, pinned && keys.get(pinned.url.toLowerCase()), readerOf, {
    ...platform,
    memory
  })
  const [vault] = isModeChange(request, seen.cluster, goal) ? vaults.vaults.values() : []
  const vaultChange =
    vault?.kind === 'readable' ? await observeVaultChange(vault.vault, seen, platform, memory) : undefined
  const known: ObservedCluster = { ...seen, ...vaults, vaultChange, keys, keyVersions, rotationPolicy }
  const readSoFar = withRightsToPlan(request, withGoal(known, goal, memory))
  return {
    ...readSoFar,
    dataPlane: await observeDataPlane(decide(request, readSoFar), readerOf, platform, memory),
    findings: [...readSoFar.findings, ...noteUnknownAccess(known), ...checkKeysHeld(request, known)]
  }
}

function isModeChange(request: Request, cluster: Cluster, goal: Goal | undefined): boolean {
  return request.operation === 'change-vault-mode' || changesMode(request, cluster, goal)
}

function withGoal(observed: Observed, goal: Goal | undefined, memory: Memory): Observed {
  if (goal === undefined) return observed
  const ownGoal =
    memory.goal !== undefined && isRecorded({ ...observed, goal: { goal, fromEarlierRun: false } }, memory.goal)
  return { ...observed, goal: { goal, fromEarlierRun: !ownGoal } }
}

/** Nothing of a rotation hangs on it but a warning: a key that can't be read is not asked for it. */
async function observeRotationPolicy(
  { operation }: Request,
  key: KeyObservation | undefined,
  readerOf: (key: Pick<Key, 'vaultUrl'>) => KeyReader,
  { memory, signal }: { readonly memory: Memory; readonly signal: AbortSignal }
): Promise<VersionLife | undefined> {
  const rotates = operation === 'rotate' || operation === 'reconcile'
  if (!rotates || key?.kind !== 'readable') return undefined
  const { id } = key.key
  const name = accessKey(id.vaultUrl, id.name)
  const { rotationPolicies } = memory.seen
  const asked = rotationPolicies.get(name) ?? readerOf(id).readRotationPolicy(id.vaultUrl, id.name, signal)
  rotationPolicies.set(name, asked)
  return await asked
}

/** Of the key that the cluster has, of the one that was asked for, and of the goal's. */
function vaultsInQuestion(request: Request, cluster: Cluster, goal: Goal | undefined): readonly AttachedVault[] {
  const profiles = [cluster.kms, goal?.kms].filter((profile) => profile?.enabled === true)
  const attachments: Attachment[] = profiles.flatMap(({ keyId, networkAccess }) => {
    const key = keyVersionFrom(keyId)
    // With a change of mode the vault is closed at one of its ends, and may be at any time.
    const closed = isModeChange(request, cluster, goal)
    return key === undefined ? [] : [{ key, networkAccess: closed ? 'Private' : networkAccess }]
  })
  const { networkAccess, vaultResourceId } = request.desired ?? request
  const key = request.key ?? request.desired?.key
  if (key !== undefined) {
    attachments.push({ key, networkAccess: networkAccess ?? attachments[0]?.networkAccess ?? 'Public' })
  }
  // A profile that is switched off keeps its vault.
  const kept = asText(asObject(cluster.securityProfile['azureKeyVaultKms'])['keyVaultResourceId'])
  return attachedVaults(attachments, [...profiles.map((profile) => profile.vaultResourceId), vaultResourceId, kept])
}

/** Those that are known already, and these. */
async function readKeys(
  ids: readonly (KeyVersion | undefined)[],
  known: ReadonlyMap<string, KeyObservation>,
  readerOf: (key: Pick<Key, 'vaultUrl'>) => KeyReader,
  signal: AbortSignal
): Promise<ReadonlyMap<string, KeyObservation>> {
  const unique = new Map<string, KeyVersion>()
  for (const id of ids) if (id !== undefined && !known.has(id.url.toLowerCase())) unique.set(id.url.toLowerCase(), id)
  const keys = await Promise.all(
    [...unique].map(async ([url, id]): Promise<[string, KeyObservation]> => [
      url,
      await readerOf(id).readKey(id, signal)
    ])
  )
  return new Map([...known, ...keys])
}

/** The key of which the operation chooses a version by itself: that of a rotation under way, unless another one was asked for. */
function keyToChooseFrom(
  { operation, desired, key }: Request,
  pinned: KeyVersion | undefined,
  aimed: KeyVersion | undefined
): Key | undefined {
  if (operation === 'rotate') return pinned && (key ?? aimed ?? pinned)
  return desired?.key !== undefined && !hasVersion(desired.key) ? desired.key : undefined
}
