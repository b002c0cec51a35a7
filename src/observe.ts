import { clusterFromBody } from './azure/cluster-body.ts'
import type { KeyReader } from './azure/key-vault.ts'
import type { ManagedCluster } from './azure/managed-clusters.ts'
import { ActionError, CATALOG } from './errors.ts'
import type { Kubernetes } from './kubernetes/kubernetes.ts'
import { TransportError } from './kubernetes/transport.ts'
import { attachedVaults, type AttachedVault, type Attachment } from './model/attached-vault.ts'
import { FIRST_DATA_ENCRYPTION_MINOR, type Cluster } from './model/cluster.ts'
import { finding, type Finding } from './model/finding.ts'
import { EMPTY_RECORD, type ClusterRecord, type Goal } from './model/goal.ts'
import { hasVersion, keyVersionFrom, type Key, type KeyVersion } from './model/key-id.ts'
import { newestUsable, type KeyObservation } from './model/key.ts'
import { keyIdOf } from './model/kms-profile.ts'
import { FIRST_KMS_V2_MINOR, minor } from './model/kubernetes-version.ts'
import { decide } from './operations/decide.ts'
import { isRecorded } from './operations/reach.ts'
import type { Observed } from './model/observed.ts'
import { observePreparation } from './observe-preparation.ts'
import { keyReaders, observeDataPlane, observeVaults } from './observe-vaults.ts'
import { isProved, type Memory } from './memory.ts'
import type { Platform } from './platform.ts'
import { noteUnknownAccess } from './preflight/key-access.ts'
import { slowUnderKmsV1 } from './preflight/kms-v1-secrets.ts'
import { explainUnreachable } from './preflight/unreachable.ts'
import type { Request } from './request.ts'

export interface Observation {
  readonly observed: Observed
  /** The cluster as Azure showed it; undefined where Azure knows none. */
  readonly cluster: ManagedCluster | undefined
}

/** Reads the cluster, its record and the keys in question, at one moment. Changes nothing. */
export async function observe(request: Request, platform: Platform, memory: Memory): Promise<Observation> {
  const current = await platform.clusters?.read(platform.signal)
  const cluster = current && (await observeCluster(current, request, platform, memory))
  const bare: Observed = {
    now: platform.now(),
    cluster,
    apiServer: undefined,
    missingRights: [],
    secretCount: memory.secretCount,
    secretsProved: isProved(memory, cluster && { ...cluster, phase: 'ready' }),
    record: EMPTY_RECORD,
    goal: undefined,
    keys: new Map(),
    keyVersions: undefined,
    madeKeyId: memory.madeKeyId,
    vaults: new Map(),
    access: new Map(),
    assignIdentity: 'unknown',
    tenantId: undefined,
    dataPlane: undefined,
    preparation: undefined,
    findings: []
  }
  if (request.preparation !== undefined) {
    const preparation = await observePreparation(request.preparation, platform, memory, bare.now)
    return { observed: { ...bare, preparation }, cluster: undefined }
  }
  // A cluster in any other phase is waited for or refused, and its API server need not answer.
  if (cluster !== undefined && cluster.phase !== 'ready' && cluster.phase !== 'failed') {
    return { observed: bare, cluster: current }
  }
  const kubernetes = await platform.kubernetes()
  const seen: Observed = {
    ...bare,
    apiServer: kubernetes.server,
    ...(await observeInside(kubernetes, cluster, memory))
  }
  const observed = cluster === undefined ? seen : await observeKeys(request, platform, memory, seen)
  const slow = slowUnderKmsV1(observed)
  return {
    observed: slow === undefined ? observed : { ...observed, findings: [...observed.findings, slow] },
    cluster: current
  }
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

/** What the API server says. */
async function observeInside(
  kubernetes: Kubernetes,
  cluster: Cluster | undefined,
  memory: Memory
): Promise<Pick<Observed, 'record' | 'findings' | 'missingRights' | 'secretCount'>> {
  const read = await readRecord(kubernetes.record, cluster, memory)
  if (read === undefined) return { record: EMPTY_RECORD, findings: [], missingRights: [], secretCount: undefined }
  memory.reachedApiServer = true
  if (cluster !== undefined && minor(cluster.kubernetesVersion) < FIRST_KMS_V2_MINOR) {
    memory.secretCount ??= await kubernetes.countSecrets()
  }
  return { ...read, missingRights: await kubernetes.missingRights(), secretCount: memory.secretCount }
}

/** The keys in question, and the goal that the record or this run has. */
async function observeKeys(request: Request, platform: Platform, memory: Memory, seen: Observed): Promise<Observed> {
  const goal = seen.record.goal ?? memory.goal
  const pinned = versionOf(seen.cluster && keyIdOf(seen.cluster.kms))
  const attached = vaultsInQuestion(request, seen.cluster, goal)
  const vaults = await observeVaults(request.operation, attached, seen.cluster?.identity, platform, memory)
  const readerOf = keyReaders(attached, vaults, platform)
  const chosenAmong = keyToChooseFrom(request, pinned)
  const keyVersions =
    chosenAmong && (await readerOf(chosenAmong).listVersions(chosenAmong.vaultUrl, chosenAmong.name, platform.signal))
  const newest = keyVersions?.kind === 'readable' ? newestUsable(keyVersions.versions, seen.now)?.id : undefined
  const desired = request.desired?.key
  const named = desired !== undefined && hasVersion(desired) ? desired : undefined
  const ids = [pinned, request.key, named, newest, versionOf(memory.madeKeyId), goal && versionOf(keyIdOf(goal.kms))]
  const keys = await readKeys(ids, readerOf, platform.signal)
  const readSoFar = withGoal({ ...seen, ...vaults, keys, keyVersions }, goal, memory)
  return {
    ...readSoFar,
    dataPlane: await observeDataPlane(decide(request, readSoFar), readerOf, platform, memory),
    findings: [...seen.findings, ...noteUnknownAccess(readSoFar)]
  }
}

function withGoal(observed: Observed, goal: Goal | undefined, memory: Memory): Observed {
  if (goal === undefined) return observed
  const ownGoal =
    memory.goal !== undefined && isRecorded({ ...observed, goal: { goal, fromEarlierRun: false } }, memory.goal)
  return { ...observed, goal: { goal, fromEarlierRun: !ownGoal } }
}

/** Of the key that the cluster has, of the one that was asked for, and of the goal's. */
function vaultsInQuestion(
  request: Request,
  cluster: Cluster | undefined,
  goal: Goal | undefined
): readonly AttachedVault[] {
  const profiles = [cluster?.kms, goal?.kms].filter((profile) => profile?.enabled === true)
  const attachments: Attachment[] = profiles.flatMap(({ keyId, networkAccess }) => {
    const key = keyVersionFrom(keyId)
    return key === undefined ? [] : [{ key, networkAccess }]
  })
  const { networkAccess, vaultResourceId } = request.desired ?? request
  const key = request.key ?? request.desired?.key
  if (key !== undefined) {
    attachments.push({ key, networkAccess: networkAccess ?? attachments[0]?.networkAccess ?? 'Public' })
  }
  return attachedVaults(attachments, [...profiles.map((profile) => profile.vaultResourceId), vaultResourceId])
}

/** Undefined where the API server of a failed cluster does not answer. */
async function readRecord(
  store: Kubernetes['record'],
  cluster: Cluster | undefined,
  memory: Memory
): Promise<{ readonly record: ClusterRecord; readonly findings: readonly Finding[] } | undefined> {
  try {
    const { record, forbidden } = await store.read()
    // Without Azure nothing is kept there.
    return { record, findings: forbidden && cluster !== undefined ? [finding('warning', 'record-forbidden')] : [] }
  } catch (error) {
    if (!(error instanceof ActionError) || error.code !== 'api-server-unreachable') throw error
    // That the API server of a failed cluster does not answer is no news: that the cluster has failed is.
    if (cluster?.phase === 'failed') return undefined
    const why = cluster && !memory.reachedApiServer ? whyUnreachable(error, cluster) : undefined
    throw why === undefined ? error : new ActionError(why.code, why.message, { fix: why.fix, cause: error })
  }
}

/** Where nothing answered at all, for no reason that is known better. */
export function whyUnreachable({ message, cause, fix }: ActionError, cluster: Cluster): Finding | undefined {
  if (!(cause instanceof TransportError) || fix !== CATALOG['api-server-unreachable'].fix) return undefined
  return explainUnreachable(cluster, message, { isKnown: cause.code !== 'ENOTFOUND' })
}

async function readKeys(
  ids: readonly (KeyVersion | undefined)[],
  readerOf: (key: Key) => KeyReader,
  signal: AbortSignal
): Promise<ReadonlyMap<string, KeyObservation>> {
  const unique = new Map<string, KeyVersion>()
  for (const id of ids) if (id !== undefined) unique.set(id.url.toLowerCase(), id)
  const keys = await Promise.all(
    [...unique].map(async ([url, id]): Promise<[string, KeyObservation]> => [
      url,
      await readerOf(id).readKey(id, signal)
    ])
  )
  return new Map(keys)
}

/** The key of which the operation chooses a version by itself. */
function keyToChooseFrom({ operation, desired }: Request, pinned: KeyVersion | undefined): Key | undefined {
  if (operation === 'rotate') return pinned
  return desired?.key !== undefined && !hasVersion(desired.key) ? desired.key : undefined
}

function versionOf(keyId: string | undefined): KeyVersion | undefined {
  return keyId === undefined ? undefined : keyVersionFrom(keyId)
}
