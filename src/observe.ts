import { clusterFromBody } from './azure/cluster-body.ts'
import type { ManagedCluster } from './azure/managed-clusters.ts'
import { ActionError } from './errors.ts'
import type { Kubernetes } from './kubernetes/kubernetes.ts'
import type { ClusterPhase } from './model/cluster.ts'
import { finding, type Finding } from './model/finding.ts'
import { EMPTY_RECORD, type ClusterRecord } from './model/goal.ts'
import { keyVersionFrom, type KeyVersion } from './model/key-id.ts'
import { newestUsable, type KeyObservation } from './model/key.ts'
import { keyIdOf, sameKmsProfile } from './model/kms-profile.ts'
import { isRecorded } from './operations/reach.ts'
import type { Observed } from './model/observed.ts'
import type { Memory } from './memory.ts'
import type { Platform } from './platform.ts'
import type { Request } from './request.ts'

export interface Observation {
  readonly observed: Observed
  readonly cluster: ManagedCluster
}

/** Reads the cluster, its record and the keys in question, at one moment. Changes nothing. */
export async function observe(request: Request, platform: Platform, memory: Memory): Promise<Observation> {
  const current = await platform.clusters.read(platform.signal)
  const upgrades = request.operation === 'migrate-v2' ? await platform.clusters.upgrades(platform.signal) : undefined
  const cluster = clusterFromBody(current.body, upgrades)
  const now = platform.now()
  const bare: Observed = {
    now,
    cluster,
    secretsProved: memory.provedProfile !== undefined && sameKmsProfile(memory.provedProfile, cluster.kms),
    record: EMPTY_RECORD,
    goal: undefined,
    keys: new Map(),
    keyVersions: undefined,
    madeKeyId: memory.madeKeyId,
    findings: []
  }
  // A cluster in any other phase is waited for or refused, and its API server need not answer.
  if (cluster.phase !== 'ready' && cluster.phase !== 'failed') return { observed: bare, cluster: current }

  const kubernetes = await platform.kubernetes()
  const { record, findings } = await readRecord(kubernetes.record, cluster.phase)
  const goal = record.goal ?? memory.goal
  const pinned = versionOf(keyIdOf(cluster.kms))
  const keyVersions =
    request.operation === 'rotate' && pinned !== undefined
      ? await platform.keyVault.listVersions(pinned.vaultUrl, pinned.name, platform.signal)
      : undefined
  const newest = keyVersions?.kind === 'readable' ? newestUsable(keyVersions.versions, now)?.id : undefined
  const inQuestion = [pinned, request.key, newest, versionOf(memory.madeKeyId), goal && versionOf(keyIdOf(goal.kms))]
  const keys = await readKeys(inQuestion, platform)
  const observed: Observed = { ...bare, record, keys, keyVersions, findings }
  if (goal === undefined) return { observed, cluster: current }
  const ownGoal =
    memory.goal !== undefined && isRecorded({ ...observed, goal: { goal, fromEarlierRun: false } }, memory.goal)
  return { observed: { ...observed, goal: { goal, fromEarlierRun: !ownGoal } }, cluster: current }
}

async function readRecord(
  store: Kubernetes['record'],
  phase: ClusterPhase
): Promise<{ readonly record: ClusterRecord; readonly findings: readonly Finding[] }> {
  try {
    const { record, forbidden } = await store.read()
    return { record, findings: forbidden ? [finding('warning', 'record-forbidden')] : [] }
  } catch (error) {
    // That the API server of a failed cluster does not answer is no news: that the cluster has failed is.
    const isDown = phase === 'failed' && error instanceof ActionError && error.code === 'api-server-unreachable'
    if (!isDown) throw error
    return { record: EMPTY_RECORD, findings: [] }
  }
}

async function readKeys(
  ids: readonly (KeyVersion | undefined)[],
  { keyVault, signal }: Platform
): Promise<ReadonlyMap<string, KeyObservation>> {
  const unique = new Map<string, KeyVersion>()
  for (const id of ids) if (id !== undefined) unique.set(id.url.toLowerCase(), id)
  const keys = await Promise.all(
    [...unique].map(async ([url, id]): Promise<[string, KeyObservation]> => [url, await keyVault.readKey(id, signal)])
  )
  return new Map(keys)
}

function versionOf(keyId: string | undefined): KeyVersion | undefined {
  return keyId === undefined ? undefined : keyVersionFrom(keyId)
}
