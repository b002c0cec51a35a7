import { clusterFromBody } from './azure/cluster-body.ts'
import type { KeyReader } from './azure/key-vault.ts'
import type { ManagedCluster } from './azure/managed-clusters.ts'
import { ActionError, CATALOG } from './errors.ts'
import { TransportError } from './kubernetes/transport.ts'
import { attachedVaults, type AttachedVault, type Attachment } from './model/attached-vault.ts'
import { FIRST_DATA_ENCRYPTION_MINOR, type Cluster } from './model/cluster.ts'
import { finding, type Finding } from './model/finding.ts'
import { EMPTY_RECORD, keyIdsBefore, type Goal } from './model/goal.ts'
import { asObject, asText } from './model/json.ts'
import { hasVersion, keyVersionFrom, sameKeyVersion, type Key, type KeyVersion } from './model/key-id.ts'
import { usableVersions, type KeyObservation } from './model/key.ts'
import { keyIdOf } from './model/kms-profile.ts'
import type { VersionLife } from './model/preparation.ts'
import { FIRST_KMS_V2_MINOR, minor } from './model/kubernetes-version.ts'
import { isCreated } from './operations/create.ts'
import { decide } from './operations/decide.ts'
import { isMended } from './operations/mend-key.ts'
import { changesMode } from './operations/reconcile.ts'
import { isRecorded } from './operations/reach.ts'
import { accessKey, hasCluster, type Observed, type ObservedCluster } from './model/observed.ts'
import { observeCreation } from './observe-creation.ts'
import { observePreparation } from './observe-preparation.ts'
import { observeVaultChange } from './observe-vault-change.ts'
import { keyReaders, observeDataPlane, observeVaults } from './observe-vaults.ts'
import { isProved, type Memory } from './memory.ts'
import type { Platform } from './platform.ts'
import { noteUnknownAccess } from './preflight/key-access.ts'
import { troubleOf } from './preflight/key-in-use.ts'
import { checkKeysHeld } from './preflight/keys-held.ts'
import { slowUnderKmsV1 } from './preflight/kms-v1-secrets.ts'
import { withRightsToPlan } from './preflight/rights-to-plan.ts'
import { explainUnreachable } from './preflight/unreachable.ts'
import type { Request } from './request.ts'

export interface Observation {
  readonly observed: Observed
  /** The cluster as Azure showed it; undefined where Azure knows none. */
  readonly cluster: ManagedCluster | undefined
}

/** Reads the cluster, its record and the keys in question, at one moment. Changes nothing. */
export async function observe(request: Request, platform: Platform, memory: Memory): Promise<Observation> {
  const current = await readCluster(request, platform)
  const cluster = current && (await observeCluster(current, request, platform, memory))
  const bare: Observed = {
    now: platform.now(),
    cluster,
    definition: undefined,
    apiServer: undefined,
    apiServersReady: undefined,
    unreachable: undefined,
    missingRights: [],
    secretCount: memory.secretCount,
    secretsProved: isProved(memory, cluster && { ...cluster, phase: 'ready' }),
    record: EMPTY_RECORD,
    goal: undefined,
    keys: new Map(),
    keyVersions: undefined,
    rotationPolicy: undefined,
    madeKeyIds: [...memory.madeKeyIds],
    vaults: new Map(),
    access: new Map(),
    assignIdentity: 'unknown',
    tenantId: undefined,
    dataPlane: undefined,
    vaultChange: undefined,
    preparation: undefined,
    findings: []
  }
  if (request.preparation !== undefined) {
    const preparation = await observePreparation(request.preparation, platform, memory, bare.now)
    return { observed: { ...bare, preparation }, cluster: undefined }
  }
  if (request.operation === 'create' && !isCreated(request, cluster)) {
    const observed = cluster === undefined ? await observeCreation(request, platform, memory, bare) : bare
    return { observed, cluster: current }
  }
  const observed = hasCluster(bare)
    ? await observeManaged(request, platform, memory, bare)
    : forPlan(request, { ...bare, ...(await observeInside(platform, undefined, memory)) })
  const slow = slowUnderKmsV1(observed)
  return {
    observed: slow === undefined ? observed : { ...observed, findings: [...observed.findings, slow] },
    cluster: current
  }
}

/** Undefined where the request names none, and where `create` is to make it. */
async function readCluster(
  { operation }: Request,
  { clusters, signal }: Platform
): Promise<ManagedCluster | undefined> {
  return operation === 'create' ? await clusters?.find(signal) : await clusters?.read(signal)
}

async function observeManaged(
  request: Request,
  platform: Platform,
  memory: Memory,
  bare: ObservedCluster
): Promise<Observed> {
  const { phase } = bare.cluster
  const isSettled = phase === 'ready' || phase === 'failed'
  const rotates = request.operation === 'rotate'
  // The key in use comes first: without it the API servers may not answer, and the cluster may never leave the phase that it is in.
  const keyed =
    isSettled || (rotates && phase !== 'deleting') ? await observeKeyInUse(request, platform, memory, bare) : bare
  const trouble = troubleOf(keyed)
  // A cluster in any other phase is waited for or refused, and its API server need not answer.
  if (!isSettled || (rotates && trouble !== undefined && !request.repair)) return keyed
  const awaited = rotates && (trouble !== undefined || isMended(keyed))
  const obstacle = awaited ? await (await platform.kubernetes()).obstacle() : undefined
  const asked: ObservedCluster = { ...keyed, apiServersReady: awaited ? obstacle === undefined : undefined }
  // The record is for later where no API server answers.
  const inside = obstacle?.answers === false ? {} : await observeInside(platform, asked, memory)
  const seen = { ...asked, ...inside }
  return seen.unreachable === undefined ? await observeKeys(request, platform, memory, seen) : seen
}

async function observeCluster(
  { body }: ManagedCluster,
  { operation }: Request,
  { clusters, signal }: Platform,
  memory: Memory
): Promise<Cluster> {
  const { kubernetesVersion } = clusterFromBody(body)
  if (minor(kubernetesVersion) >= FIRST_DATA_ENCRYPTION_MINOR) {
    memory.dataEncryption ??= await clusters?.usesDataEncryption(signal)
  }
  const upgrades = operation === 'migrate-v2' ? await clusters?.upgrades(signal) : undefined
  return clusterFromBody(body, { upgrades, dataEncryption: memory.dataEncryption })
}

/** What the API server says; nothing where it does not answer, and that is no news. */
async function observeInside(
  platform: Platform,
  asked: ObservedCluster | undefined,
  memory: Memory
): Promise<
  Partial<Pick<Observed, 'apiServer' | 'unreachable' | 'record' | 'findings' | 'missingRights' | 'secretCount'>>
> {
  const kubernetes = await platform.kubernetes()
  try {
    const { record, forbidden } = await kubernetes.record.read()
    memory.reachedApiServer = true
    if (asked !== undefined && minor(asked.cluster.kubernetesVersion) < FIRST_KMS_V2_MINOR) {
      memory.secretCount ??= await kubernetes.countSecrets()
    }
    return {
      apiServer: kubernetes.server,
      record,
      // Without Azure nothing is kept there.
      findings: forbidden && asked !== undefined ? [finding('warning', 'record-forbidden')] : [],
      missingRights: await kubernetes.missingRights(),
      secretCount: memory.secretCount
    }
  } catch (error) {
    if (!(error instanceof ActionError) || error.code !== 'api-server-unreachable' || asked === undefined) throw error
    // That the cluster has failed is news, or what is wrong with its key.
    if (asked.cluster.phase === 'failed' || asked.apiServersReady !== undefined) return {}
    const trouble = troubleOf(asked)?.finding('refusal')
    if (memory.reachedApiServer) throw trouble === undefined ? error : errorOf(trouble, error)
    const unreachable = trouble ?? whyUnreachable(error, asked.cluster)
    if (unreachable === undefined) throw error
    return { unreachable }
  }
}

async function observeKeyInUse(
  request: Request,
  platform: Platform,
  memory: Memory,
  bare: ObservedCluster
): Promise<ObservedCluster> {
  const { cluster } = bare
  const { keyVault, signal } = platform
  const pinned = versionOf(keyIdOf(cluster.kms))
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
async function observeKeys(
  request: Request,
  platform: Platform,
  memory: Memory,
  seen: ObservedCluster
): Promise<Observed> {
  const { signal } = platform
  const goal = seen.record.goal ?? memory.goal
  const pinned = versionOf(keyIdOf(seen.cluster.kms))
  const attached = vaultsInQuestion(request, seen.cluster, goal)
  const vaults = await observeVaults(request.operation, attached, seen.cluster.identity, platform, memory)
  const readerOf = keyReaders(attached, vaults, platform)
  const aimed = goal && versionOf(keyIdOf(goal.kms))
  const chosenAmong = keyToChooseFrom(request, pinned, goal?.operation === 'rotate' ? aimed : undefined)
  const keyVersions =
    chosenAmong && (await readerOf(chosenAmong).listVersions(chosenAmong.vaultUrl, chosenAmong.name, signal))
  const usable = keyVersions?.kind === 'readable' ? usableVersions(keyVersions.versions, seen.now) : []
  // To retire a key version takes two.
  const newest = usable.slice(-2).map(({ id }) => id)
  const desired = request.desired?.key
  const named = desired !== undefined && hasVersion(desired) ? desired : undefined
  const [previous] = pinned === undefined ? [] : keyIdsBefore(seen.record, pinned.url)
  const ids = [request.key, named, ...newest, ...[previous, ...memory.madeKeyIds].map(versionOf), aimed]
  const keys = await readKeys(ids, seen.keys, readerOf, signal)
  const rotationPolicy = await observeRotationPolicy(request, pinned && keys.get(pinned.url.toLowerCase()), readerOf, {
    ...platform,
    memory
  })
  const [vault] = isModeChange(request, seen.cluster, goal) ? vaults.vaults.values() : []
  const vaultChange =
    vault?.kind === 'readable' ? await observeVaultChange(vault.vault, seen, platform, memory) : undefined
  const known: ObservedCluster = { ...seen, ...vaults, vaultChange, keys, keyVersions, rotationPolicy }
  const readSoFar = forPlan(request, withGoal(known, goal, memory))
  return {
    ...readSoFar,
    dataPlane: await observeDataPlane(decide(request, readSoFar), readerOf, platform, memory),
    findings: [...readSoFar.findings, ...noteUnknownAccess(known), ...checkKeysHeld(request, known)]
  }
}

function isModeChange(request: Request, cluster: Cluster, goal: Goal | undefined): boolean {
  return request.operation === 'change-vault-mode' || changesMode(request, cluster, goal)
}

function forPlan({ dryRun }: Request, observed: Observed): Observed {
  return dryRun ? withRightsToPlan(observed) : observed
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

function errorOf({ code, message, fix }: Finding, cause: unknown): ActionError {
  return new ActionError(code, message, { fix, cause })
}

/** Where nothing answered at all, for no reason that is known better. */
export function whyUnreachable({ message, cause, fix }: ActionError, cluster: Cluster): Finding | undefined {
  if (!(cause instanceof TransportError) || fix !== CATALOG['api-server-unreachable'].fix) return undefined
  return explainUnreachable(cluster, message, { isKnown: cause.code !== 'ENOTFOUND' })
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

function versionOf(keyId: string | undefined): KeyVersion | undefined {
  return keyId === undefined ? undefined : keyVersionFrom(keyId)
}
