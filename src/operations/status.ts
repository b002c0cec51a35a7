import type { Code } from '../errors.ts'
import { clusterNameFrom, type Cluster } from '../model/cluster.ts'
import {
  STATUS_RESULTS,
  type ClusterStatus,
  type KeyStatus,
  type KmsGeneration,
  type StatusResult
} from '../model/cluster-status.ts'
import { finding, type Finding } from '../model/finding.ts'
import { EMPTY_RECORD, type ClusterRecord } from '../model/goal.ts'
import { sameKeyVersion } from '../model/key-id.ts'
import {
  defectsOf,
  isUsable,
  rotationDueAt,
  type KeyObservation,
  type KeyProperties,
  type KeyVersionsObservation
} from '../model/key.ts'
import { keyIdOf } from '../model/kms-profile.ts'
import { FIRST_KMS_V2_MINOR, minor } from '../model/kubernetes-version.ts'
import { checkDataEncryption } from '../preflight/data-encryption.ts'
import { checkIdentity } from '../preflight/identity.ts'
import { defectsInWords } from '../preflight/key-in-use.ts'
import { checkKey } from '../preflight/key.ts'
import { checkKeysHeld } from '../preflight/keys-held.ts'
import { fits } from './reach.ts'

/** What was read of one cluster. */
export interface SeenCluster {
  readonly cluster: Cluster
  /** Undefined where it could not be read. */
  readonly record: ClusterRecord | undefined
  /** By key version url in lower case: the one in use, and the previous one by the record. */
  readonly keys: ReadonlyMap<string, KeyObservation>
  /** All versions of the key in use; undefined where it pins none. */
  readonly keyVersions: KeyVersionsObservation | undefined
  /** Why something could not be read. */
  readonly findings: readonly Finding[]
}

export interface StatusOptions {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** In milliseconds; undefined: nothing is due by its age. */
  readonly maxKeyAge: number | undefined
}

const DAY = 86_400_000

/** A daily schedule has come to a rotation by then. */
const OVERDUE_AFTER = DAY

/** Time enough for somebody to read of it, and to rotate. */
const EXPIRES_SOON = 30 * DAY

/** The status of each cluster, the most urgent first, each under a name of its own. */
export function statusOf(seen: readonly SeenCluster[], options: StatusOptions): readonly ClusterStatus[] {
  const statuses = seen.map((one) => evaluate(one, options))
  const times = new Map<string, number>()
  for (const { clusterName } of statuses) {
    times.set(clusterName.toLowerCase(), (times.get(clusterName.toLowerCase()) ?? 0) + 1)
  }
  return statuses
    .map((status) =>
      times.get(status.clusterName.toLowerCase()) === 1
        ? status
        : { ...status, name: `${status.clusterName}@${status.resourceGroup}` }
    )
    .toSorted((a, b) => rank(a) - rank(b) || compare(a.dueAt ?? '~', b.dueAt ?? '~') || compare(a.name, b.name))
}

/** The findings of all clusters, those alike as one that names the clusters; the gravest first. */
export function groupFindings(clusters: readonly ClusterStatus[]): readonly Finding[] {
  const groups = new Map<string, { readonly first: Finding; readonly fixes: Set<string>; readonly names: string[] }>()
  for (const { name, findings } of clusters) {
    for (const one of findings) {
      const key = `${one.severity} ${one.code}`
      const group = groups.get(key) ?? { first: one, fixes: new Set(), names: [] }
      group.fixes.add(one.fix)
      group.names.push(name)
      groups.set(key, group)
    }
  }
  return [...groups.values()]
    .map(({ first, fixes, names }) => {
      const { severity, code, message, fix } = first
      if (clusters.length === 1) return first
      if (names.length === 1) return { ...first, message: `\`${names.join()}\`: ${message}` }
      const general = finding(severity, code)
      return {
        ...general,
        message: `On ${String(names.length)} of ${String(clusters.length)} clusters: ${listed(names)}. ${general.message}`,
        fix: fixes.size === 1 ? fix : general.fix
      }
    })
    .toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
}

/** The verdict on all of them in one sentence. */
export function statusSentence(clusters: readonly ClusterStatus[]): string {
  const [first] = clusters
  if (first === undefined) return 'There is no cluster that this identity may read.'
  if (clusters.length === 1) return sentenceOf(first)
  const counts = STATUS_RESULTS.map((result) => {
    const count = clusters.filter((cluster) => cluster.result === result).length
    return count === 0 ? '' : `${String(count)} ${WORDS[result].many}`
  })
  return `${String(clusters.length)} clusters: ${counts.filter((text) => text !== '').join(', ')}.`
}

function sentenceOf({ name, result, kms, key }: ClusterStatus): string {
  const verdict = `${name} ${WORDS[result].one}`
  if (kms === 'off') return `${verdict}: KMS is off.`
  if (kms === 'data-encryption') return `${verdict}: KMS data encryption.`
  return `${verdict}: KMS ${kms}, ${key === undefined ? 'age of the key version not known' : `key version ${String(key.ageDays)} days old`}.`
}

const SEVERITIES: readonly Finding['severity'][] = ['refusal', 'warning', 'note']

const WORDS: Readonly<Record<StatusResult, { readonly one: string; readonly many: string }>> = {
  failing: { one: 'is failing', many: 'failing' },
  overdue: { one: 'is overdue', many: 'overdue' },
  due: { one: 'is due', many: 'due' },
  unknown: { one: 'is not known in full', many: 'not known in full' },
  warning: { one: 'has warnings', many: 'with warnings' },
  off: { one: 'has no KMS', many: 'without KMS' },
  ok: { one: 'is in order', many: 'in order' }
}

/** Names beyond these are counted. */
const MOST_NAMES = 20

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).map((name) => `\`${name}\``)
  const more = names.length - shown.length
  return `${shown.join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`
}

function rank({ result }: ClusterStatus): number {
  return STATUS_RESULTS.indexOf(result)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function evaluate(seen: SeenCluster, { now, maxKeyAge }: StatusOptions): ClusterStatus {
  const { cluster, record } = seen
  const name = clusterNameFrom(cluster.id)
  const kms = generationOf(cluster)
  const keyId = keyIdOf(cluster.kms)
  const pinned = kms === 'v1' || kms === 'v2' ? keyId : undefined
  const observation = pinned === undefined ? undefined : seen.keys.get(pinned.toLowerCase())
  const key = observation?.kind === 'readable' ? observation.key : undefined
  const unfinished = record?.goal !== undefined && fits(cluster, record.goal) ? record.goal.operation : undefined

  const dueAt = key === undefined || maxKeyAge === undefined ? undefined : rotationDueAt(key, maxKeyAge)
  const reached = dueAt !== undefined && dueAt <= now
  const canRotate = pinned !== undefined && cluster.phase !== 'stopped' && cluster.phase !== 'deleting'
  const due = canRotate && (reached || unfinished === 'rotate')
  const overdue = due && dueAt !== undefined && dueAt + OVERDUE_AFTER < now

  const held = checkKeysHeld(
    { maxKeyAge, desired: undefined },
    { cluster, keys: seen.keys, record: record ?? EMPTY_RECORD, now, rotationPolicy: undefined }
  ).map((one): Finding => (BROKEN.has(one.code) ? { ...one, severity: 'refusal' } : one))
  const findings = [
    ...phaseFindings(cluster, reached ? dueAt : undefined),
    ...(observation === undefined ? [] : keyFindings(observation, now, held)),
    ...held,
    ...recordFindings(seen, pinned, unfinished, now),
    ...(overdue && key !== undefined ? [overdueFinding(key, dueAt, now)] : []),
    ...generationFindings(cluster, kms),
    ...newerFindings(seen.keyVersions, key, now),
    ...seen.findings
  ]
  const unknown = pinned !== undefined && key === undefined
  return {
    name: name?.name ?? cluster.id,
    id: cluster.id,
    subscriptionId: name?.subscriptionId ?? '',
    resourceGroup: name?.resourceGroup ?? '',
    clusterName: name?.name ?? '',
    location: cluster.location,
    kubernetesVersion: cluster.kubernetesVersion,
    phase: cluster.phase,
    provisioningState: cluster.provisioningState,
    kms,
    networkAccess: cluster.kms.enabled ? cluster.kms.networkAccess : undefined,
    keyId,
    key: key && keyStatus(key, seen.keyVersions, now),
    dueAt: dueAt === undefined ? undefined : new Date(dueAt).toISOString(),
    due,
    overdue,
    record: record && {
      provedKeyId: record.provedKeyId,
      previousKeyId: record.previousKeyId,
      provedAt: record.provedAt,
      provedBy: record.provedBy,
      unfinished
    },
    result: resultOf(findings, { due, overdue, unknown, off: kms === 'off' }),
    findings
  }
}

function resultOf(
  findings: readonly Finding[],
  is: { readonly due: boolean; readonly overdue: boolean; readonly unknown: boolean; readonly off: boolean }
): StatusResult {
  const has = (severity: Finding['severity']): boolean => findings.some((one) => one.severity === severity)
  if (has('refusal')) return 'failing'
  if (is.overdue) return 'overdue'
  if (is.due) return 'due'
  if (is.unknown) return 'unknown'
  if (has('warning')) return 'warning'
  return is.off ? 'off' : 'ok'
}

function generationOf({ kms, dataEncryption, kubernetesVersion }: Cluster): KmsGeneration {
  if (dataEncryption !== undefined) return 'data-encryption'
  if (!kms.enabled) return 'off'
  return minor(kubernetesVersion) < FIRST_KMS_V2_MINOR ? 'v1' : 'v2'
}

function keyStatus(key: KeyProperties, versions: KeyVersionsObservation | undefined, now: number): KeyStatus {
  return {
    createdAt: new Date(key.created).toISOString(),
    expiresAt: key.expires === undefined ? undefined : new Date(key.expires).toISOString(),
    enabled: key.enabled,
    ageDays: ageDays(key, now),
    newerVersions: newerThan(key, versions, now)
  }
}

function ageDays({ created }: KeyProperties, now: number): number {
  return Math.floor((now - created) / DAY)
}

function newerThan(key: KeyProperties, versions: KeyVersionsObservation | undefined, now: number): number | undefined {
  if (versions?.kind !== 'readable') return undefined
  return versions.versions.filter((version) => version.created > key.created && isUsable(version, now)).length
}

/** `dueSince`: since when a rotation is due by the key's age. */
function phaseFindings({ phase, provisioningState }: Cluster, dueSince: number | undefined): readonly Finding[] {
  switch (phase) {
    case 'ready':
      return []
    case 'changing':
      return [finding('note', 'cluster-changing', `Azure shows the cluster or a node pool as ${provisioningState}.`)]
    case 'failed':
      return [finding('refusal', 'cluster-failed', `The cluster or a node pool is in the state ${provisioningState}.`)]
    case 'deleting':
      return [finding('note', 'cluster-deleting')]
    case 'stopped':
      if (dueSince === undefined) return [finding('note', 'cluster-stopped')]
      return [
        finding(
          'warning',
          'cluster-stopped',
          `The cluster is stopped. Its rotation has been due since ${day(dueSince)}, and can be done once it runs.`
        )
      ]
  }
}

/** Of these an API server that starts anew does not become ready. */
const BROKEN: ReadonlySet<Code> = new Set<Code>(['current-key-unusable', 'current-key-lost', 'previous-key-unusable'])

/** What is wrong with the key version in use besides what is said of the two that AKS holds. */
function keyFindings(observation: KeyObservation, now: number, held: readonly Finding[]): readonly Finding[] {
  if (held.some(({ code }) => code === 'current-key-unusable' || code === 'current-key-lost')) return []
  const unfit = checkKey(observation, now).filter(({ code }) => code !== 'key-expires-soon')
  if (observation.kind === 'unreadable') return unfit.map((one) => ({ ...one, severity: 'warning' }))
  const { id, expires } = observation.key
  const isSaid = held.some(({ code }) => code === 'key-expires-before-rotation')
  if (isSaid || expires === undefined || expires > now + EXPIRES_SOON) return unfit
  return [...unfit, finding('warning', 'key-expires-soon', `${id.url} expires on ${day(expires)}.`)]
}

function recordFindings(
  { cluster, record, keys }: SeenCluster,
  pinned: string | undefined,
  unfinished: string | undefined,
  now: number
): readonly Finding[] {
  if (record === undefined) return []
  const { provedKeyId, previousKeyId, goal } = record
  if (unfinished !== undefined) {
    return [
      finding(
        'warning',
        'operation-unfinished',
        `\`${unfinished}\` has begun and not ended.`,
        `If no run of it is under way now, run \`${unfinished}\` again: it goes on where the last one stopped.`
      )
    ]
  }
  if (generationOf(cluster) === 'data-encryption') return []
  const isOff = pinned === undefined
  if (provedKeyId === undefined) return isOff ? [] : [finding('warning', 'never-proved')]
  const current = isOff ? provedKeyId === 'identity' : sameKeyVersion(provedKeyId, pinned)
  if (!current || goal !== undefined) {
    const [was, is] = [inWords(provedKeyId), inWords(pinned ?? 'identity')]
    const message = current
      ? `The record speaks of an unfinished \`${goal?.operation ?? ''}\` that no longer fits the cluster.`
      : `Proved was ${was}; the cluster has ${is}.`
    return [finding('warning', 'record-out-of-date', message)]
  }
  if (previousKeyId === undefined) return isOff ? [] : [finding('note', 'previous-key-unknown')]
  const previous = isOff ? keys.get(previousKeyId.toLowerCase()) : undefined
  if (previous === undefined || defectsOf(previous, now).length === 0) return []
  return [
    finding(
      'refusal',
      'key-must-stay',
      `AKS may still hold the key version of before, and it ${defectsInWords(previous, now)}`
    )
  ]
}

function inWords(provedKeyId: string): string {
  return provedKeyId === 'identity' ? 'no key' : provedKeyId
}

function overdueFinding(key: KeyProperties, dueAt: number, now: number): Finding {
  const age = `${String(ageDays(key, now))} days old`
  return finding(
    'warning',
    'rotation-overdue',
    `The key version in use is ${age}: its rotation was due on ${day(dueAt)}.`
  )
}

function generationFindings(cluster: Cluster, kms: KmsGeneration): readonly Finding[] {
  const findings: Finding[] = checkDataEncryption(cluster).map((one) => ({ ...one, severity: 'note' }))
  if (kms === 'off') findings.push(finding('note', 'kms-off'))
  if (kms === 'v1') findings.push(finding('warning', 'kms-v1'))
  if (kms !== 'data-encryption') {
    const severity = kms === 'off' ? 'note' : 'warning'
    findings.push(...checkIdentity(cluster).map((one): Finding => ({ ...one, severity })))
  }
  return findings
}

function newerFindings(
  versions: KeyVersionsObservation | undefined,
  key: KeyProperties | undefined,
  now: number
): readonly Finding[] {
  const newer = key === undefined ? undefined : newerThan(key, versions, now)
  if (newer === undefined || newer === 0) return []
  return [
    finding(
      'note',
      'newer-key-version',
      newer === 1
        ? 'The key has a newer version than the one in use.'
        : `The key has ${String(newer)} newer versions than the one in use.`
    )
  ]
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
