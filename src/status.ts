import { clusterFromBody } from './azure/cluster-body.ts'
import type { ListedCluster } from './azure/cluster-inventory.ts'
import type { KeyReader } from './azure/key-vault.ts'
import { ActionError, ClusterChangedError, toActionError } from './errors.ts'
import { inParallel } from './in-parallel.ts'
import { emptyReport } from './journal.ts'
import { attachedVaults } from './model/attached-vault.ts'
import {
  clusterId,
  clusterNameFrom,
  FIRST_DATA_ENCRYPTION_MINOR,
  type Cluster,
  type ClusterName
} from './model/cluster.ts'
import { finding, type Finding } from './model/finding.ts'
import type { ClusterRecord } from './model/goal.ts'
import type { JsonObject } from './model/json.ts'
import { keyVersionFrom, type KeyVersion } from './model/key-id.ts'
import type { KeyObservation, KeyVersionsObservation } from './model/key.ts'
import { keyIdOf, type KmsProfile } from './model/kms-profile.ts'
import { minor } from './model/kubernetes-version.ts'
import type { RunReport } from './model/report.ts'
import { whyUnreachable } from './observe/observe.ts'
import { keyReaders } from './observe/vaults.ts'
import { groupFindings, statusOf, statusSentence, type SeenCluster } from './operations/status.ts'
import type { Platform } from './platform.ts'
import { statusLines } from './report/status-lines.ts'
import { plural } from './report/text.ts'
import type { Request } from './request.ts'

/** Clusters that are looked at at once: those that do not answer are waited for together. */
const MOST_AT_ONCE = 8

/**
 * The status of one cluster, or of all clusters of a resource group or a subscription. It looks, and changes nothing. What goes
 * wrong with one cluster is a finding of its own; what goes wrong with all of them fails the run. Never throws.
 */
export async function reportStatus(request: Request, platform: Platform): Promise<RunReport> {
  const { log, signal } = platform
  const startedAt = platform.now()
  const report = (outcome: Partial<RunReport>): RunReport => ({
    ...emptyReport(request.operation, startedAt),
    dryRun: request.dryRun,
    cluster: scopeOf(request),
    run: platform.run,
    durationMs: platform.now() - startedAt,
    ...outcome
  })
  try {
    const listed = await log.group('List the clusters', () => list(request, platform))
    const keys = rememberingKeys(platform)
    const seen = await log.group(`Look at ${plural(listed.length, 'cluster')}`, () =>
      inParallel(listed, MOST_AT_ONCE, async (cluster) => {
        const one = await look(cluster, platform, keys)
        log.info(one.cluster.id)
        return one
      })
    )
    signal.throwIfAborted()
    const clusters = statusOf(seen, { now: startedAt, maxKeyAge: request.maxKeyAge })
    await log.group('What is known of them, the most urgent first', async () => {
      for (const line of clusters.flatMap(statusLines)) log.info(line)
    })
    return report({
      result: 'done',
      sentence: statusSentence(clusters),
      findings: groupFindings(clusters),
      clusters,
      dueOnly: request.dueOnly
    })
  } catch (error) {
    const { code, message, fix, cause } = toActionError(error)
    if (code === 'internal-error' && cause instanceof Error) log.info(cause.stack ?? '')
    return report({
      result: code === 'cancelled' ? 'cancelled' : 'failed',
      sentence: message,
      error: { code, message, fix }
    })
  } finally {
    await platform.close()
  }
}

function scopeOf({ cluster, subscriptionId, resourceGroup }: Request): string {
  if (cluster !== undefined) return clusterId(cluster)
  return `/subscriptions/${subscriptionId}${resourceGroup === undefined ? '' : `/resourceGroups/${resourceGroup}`}`
}

async function list(request: Request, { clusters, inventory, signal }: Platform): Promise<readonly ListedCluster[]> {
  if (clusters === undefined) return await inventory.list(request.resourceGroup, signal)
  const { body } = await clusters.read(signal)
  const mayBe = minor(clusterFromBody(body).kubernetesVersion) >= FIRST_DATA_ENCRYPTION_MINOR
  return [{ body, dataEncryption: mayBe && (await clusters.usesDataEncryption(signal)) }]
}

/** What several clusters use is asked for once. */
interface Keys {
  read(id: KeyVersion, kms: KmsProfile): Promise<KeyObservation>
  versions(id: KeyVersion, kms: KmsProfile): Promise<KeyVersionsObservation>
}

function rememberingKeys(platform: Platform): Keys {
  const { signal } = platform
  const readerOf = (key: KeyVersion, kms: KmsProfile): KeyReader => {
    const attached = kms.enabled ? attachedVaults([{ ...kms, key }], [kms.vaultResourceId]) : []
    return keyReaders(attached, { vaults: new Map(), tenantId: undefined }, platform)(key)
  }
  return {
    read: remembering(
      ({ url }) => url,
      (id, kms) => readerOf(id, kms).readKey(id, signal)
    ),
    versions: remembering(
      ({ vaultUrl, name }) => `${vaultUrl}/${name}`,
      (id, kms) => readerOf(id, kms).listVersions(id.vaultUrl, id.name, signal)
    )
  }
}

function remembering<T>(
  nameOf: (id: KeyVersion) => string,
  ask: (id: KeyVersion, kms: KmsProfile) => Promise<T>
): (id: KeyVersion, kms: KmsProfile) => Promise<T> {
  const asked = new Map<string, Promise<T>>()
  return (id, kms) => {
    // A vault answers otherwise through Resource Manager than by itself.
    const name = `${kms.enabled ? kms.networkAccess : ''} ${nameOf(id).toLowerCase()}`
    const answer = asked.get(name) ?? ask(id, kms)
    asked.set(name, answer)
    return answer
  }
}

async function look({ body, dataEncryption }: ListedCluster, platform: Platform, keys: Keys): Promise<SeenCluster> {
  const cluster = clusterFromBody(body, { dataEncryption })
  const name = clusterNameFrom(cluster.id)
  if (name === undefined) throw new Error(`Azure listed a cluster with the id “${cluster.id}”.`)
  const findings = new Map<string, Finding>()
  /** What the promise gives, or undefined and a finding that says why not. */
  const orFinding = async <T>(promise: Promise<T>): Promise<T | undefined> => {
    try {
      return await promise
    } catch (error) {
      platform.signal.throwIfAborted()
      // That the API server of a failed cluster does not answer is no news: that the cluster has failed is.
      if (cluster.phase === 'failed' && isUnreachable(error)) return undefined
      const one = findingOf(error, cluster)
      findings.set(`${one.code} ${one.message}`, one)
      return undefined
    }
  }

  const { kms } = cluster
  const pinned = keyVersionFrom(keyIdOf(kms))
  const [record, current, keyVersions] = await Promise.all([
    orFinding(readRecord(cluster, name, body, platform)),
    pinned && orFinding(keys.read(pinned, kms)),
    pinned && orFinding(keys.versions(pinned, kms))
  ])
  if (record?.finding !== undefined) findings.set('record', record.finding)
  const previous = keyVersionFrom(record?.record?.previousKeyId)
  const observed = [current, previous && (await orFinding(keys.read(previous, kms)))]
  return {
    cluster,
    record: record?.record,
    keys: new Map(observed.flatMap((one) => (one === undefined ? [] : [[idOf(one).url.toLowerCase(), one]]))),
    keyVersions,
    findings: [...findings.values()]
  }
}

/** `record` undefined: it could not be read, for the reason in the finding if there is one. */
interface RecordRead {
  readonly record: ClusterRecord | undefined
  readonly finding: Finding | undefined
}

async function readRecord(
  { phase }: Cluster,
  name: ClusterName,
  body: JsonObject,
  platform: Platform
): Promise<RecordRead> {
  if (phase === 'stopped' || phase === 'deleting') return { record: undefined, finding: undefined }
  const { record, forbidden } = await platform.readRecord(name, body)
  if (!forbidden) return { record, finding: undefined }
  return {
    record: undefined,
    finding: finding('warning', 'record-forbidden', 'The record may not be read.', READ_RIGHT)
  }
}

const READ_RIGHT =
  'Grant get on the ConfigMap `kms-etcd-encryption` in the record’s namespace: docs/permissions.md has the least set of roles.'

function findingOf(error: unknown, cluster: Cluster): Finding {
  if (error instanceof ClusterChangedError) return finding('note', 'cluster-changing', error.message)
  const known = toActionError(error)
  const { code, message, fix } = whyUnreachable(known, cluster) ?? known
  return finding('warning', code, message, fix)
}

function isUnreachable(error: unknown): boolean {
  return error instanceof ActionError && error.code === 'api-server-unreachable'
}

function idOf(observation: KeyObservation): KeyVersion {
  return observation.kind === 'readable' ? observation.key.id : observation.id
}
