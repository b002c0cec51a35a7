import { clusterFromBody } from '../azure/cluster-body.ts'
import type { ManagedCluster } from '../azure/managed-clusters.ts'
import { ActionError, CATALOG } from '../errors.ts'
import { TransportError } from '../kubernetes/transport.ts'
import { FIRST_DATA_ENCRYPTION_MINOR, type Cluster } from '../model/cluster.ts'
import { finding, type Finding } from '../model/finding.ts'
import { EMPTY_RECORD } from '../model/goal.ts'
import { FIRST_KMS_V2_MINOR, minor } from '../model/kubernetes-version.ts'
import { isCreated } from '../operations/create.ts'
import { isMended } from '../operations/mend-key.ts'
import { hasCluster, type Observed, type ObservedCluster } from '../model/observed.ts'
import { observeCreation } from './creation.ts'
import { observePreparation } from './preparation.ts'
import { observeKeyInUse, observeKeys } from './keys.ts'
import { isProved, type Memory } from '../memory.ts'
import type { Platform } from '../platform.ts'
import { troubleOf } from '../preflight/key-in-use.ts'
import { slowUnderKmsV1 } from '../preflight/kms-v1-secrets.ts'
import { withRightsToPlan } from '../preflight/rights-to-plan.ts'
import { explainUnreachable } from '../preflight/unreachable.ts'
import type { Request } from '../request.ts'

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
    : withRightsToPlan(request, { ...bare, ...(await observeInside(request, platform, undefined, memory)) })
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
  const inside = obstacle?.answers === false ? {} : await observeInside(request, platform, asked, memory)
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
  { operation }: Request,
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
    const { reachedApiServer } = memory
    const why =
      troubleOf(asked)?.finding('refusal') ?? (reachedApiServer ? undefined : whyUnreachable(error, asked.cluster))
    if (why === undefined) throw error
    // Nothing that this run has begun, or created, is refused any more.
    if (reachedApiServer || operation === 'create') throw errorOf(why, error)
    return { unreachable: why }
  }
}

function errorOf({ code, message, fix }: Finding, cause: unknown): ActionError {
  return new ActionError(code, message, { fix, cause })
}

/** Where nothing answered at all, for no reason that is known better. */
export function whyUnreachable({ message, cause, fix }: ActionError, cluster: Cluster): Finding | undefined {
  if (!(cause instanceof TransportError) || fix !== CATALOG['api-server-unreachable'].fix) return undefined
  return explainUnreachable(cluster, message, { isKnown: cause.code !== 'ENOTFOUND' })
}
