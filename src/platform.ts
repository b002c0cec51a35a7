import type { TokenCredential } from '@azure/core-auth'
import { createAuthorization, type Authorization } from './azure/authorization.ts'
import { usesEntra } from './azure/cluster-body.ts'
import { createClusterInventory, type ClusterInventory } from './azure/cluster-inventory.ts'
import { createCredential } from './azure/credentials.ts'
import { createIdentities, type Identities } from './azure/identities.ts'
import { createKeyVault, type KeyVault } from './azure/key-vault.ts'
import { createManagedClusters, type ManagedClusters } from './azure/managed-clusters.ts'
import { locationOfGroup } from './azure/resource-groups.ts'
import { createResourceManager } from './azure/resource-manager.ts'
import { tenantOf } from './azure/subscriptions.ts'
import { createVaultKeys, type VaultKeys } from './azure/vault-keys.ts'
import { createVaults, type Vaults } from './azure/vaults.ts'
import { ActionError } from './errors.ts'
import { connectKubernetes, type Kubernetes } from './kubernetes/kubernetes.ts'
import type { ReadRecord } from './kubernetes/record.ts'
import { TransportError } from './kubernetes/transport.ts'
import type { Log } from './log.ts'
import type { ApprovedPlan } from './model/approved-plan.ts'
import { groupOf } from './model/arm-id.ts'
import type { ClusterName } from './model/cluster.ts'
import type { JsonObject } from './model/json.ts'
import type { Request } from './request.ts'

/** The Entra application of every AKS API server, the same in all clouds. Source: learn.microsoft.com/azure/aks/kubelogin-authentication */
const AKS_SERVER_SCOPE = '6dae42f8-4368-4678-94ff-3960e28e3630/.default'

/** Everything outside the process that a run touches. */
export interface Platform {
  /** The cluster of the request; undefined where it names none. */
  readonly clusters: ManagedClusters | undefined
  readonly inventory: ClusterInventory
  readonly keyVault: KeyVault
  readonly vaults: Vaults
  readonly vaultKeys: VaultKeys
  readonly identities: Identities
  readonly authorization: Authorization
  /** Of the resource group of an ARM id; undefined where there is no such group. */
  locationOfGroup(armId: string): Promise<string | undefined>
  /** Of the request's subscription; undefined where Azure does not say. */
  tenantId(): Promise<string | undefined>
  /** Connects at the first call, and gives the same connection from then on. */
  kubernetes(): Promise<Kubernetes>
  /**
   * The record of any cluster, by its ARM body, over a connection of its own. Throws ActionError, `api-server-unreachable` after
   * little time.
   */
  readRecord(cluster: ClusterName, body: JsonObject): Promise<ReadRecord>
  /** Ends all connections. */
  close(): Promise<void>
  /** The plan that was approved on the pull request. Throws ActionError `plan-not-found` where there is none. */
  approvedPlan(operation: string, cluster: string): Promise<ApprovedPlan>
  /** Url of the workflow run; undefined outside GitHub Actions. */
  readonly run: string | undefined
  /** Milliseconds since the epoch. */
  now(): number
  readonly log: Log
  /** Aborted, with an ActionError as its reason, when the run is cancelled or out of time. */
  readonly signal: AbortSignal
}

export interface PlatformOptions {
  /** Asks GitHub for a new ID token. */
  readonly getIdToken: (audience: string) => Promise<string>
  readonly approvedPlan: Platform['approvedPlan']
  readonly run: string | undefined
  readonly log: Log
  readonly signal: AbortSignal
}

/** Where many clusters are asked for their records, none may cost much: how long a request is tried, and all of it. In milliseconds. */
const RECORD_PATIENCE = 8_000
const RECORD_LIMIT = 10_000

/** The real one: Azure and the cluster of the request. Nothing is sent before it is first needed. */
export function createPlatform(request: Request, options: PlatformOptions): Platform {
  const { getIdToken, approvedPlan, run, log, signal } = options
  const credential = createCredential(request.credential, request.cloud, { getIdToken })
  const arm = createResourceManager(credential, request.cloud, request.subscriptionId)
  const clusters = request.cluster && createManagedClusters(arm, request.cluster)
  let connection: Promise<Kubernetes> | undefined

  async function accessTo(cluster: ManagedClusters | undefined, body?: JsonObject): Promise<ClusterAccess> {
    if (request.kubeconfig !== undefined) return { kubeconfig: request.kubeconfig, bearerToken: undefined }
    if (cluster === undefined) throw new Error('Neither a kubeconfig nor a managed cluster leads to an API server.')
    return await accessFromAzure(cluster, body ?? (await cluster.read(signal)).body, credential, signal)
  }

  const common = {
    namespace: request.recordNamespace,
    maxConcurrency: request.maxConcurrency,
    maxRequestsPerSecond: request.maxRequestsPerSecond,
    holder: run ?? `process ${String(process.pid)}`,
    log,
    signal
  }

  async function connect(): Promise<Kubernetes> {
    return connectKubernetes({ ...common, ...(await accessTo(clusters)) })
  }

  async function readRecord(cluster: ClusterName, body: JsonObject): Promise<ReadRecord> {
    const access = await accessTo(createManagedClusters(arm, cluster), body)
    // The time that signing in takes is not the API server's.
    await access.bearerToken?.()
    const limit = new AbortController()
    const kubernetes = connectKubernetes({
      ...common,
      ...access,
      patience: RECORD_PATIENCE,
      log: { ...log, info: (line) => log.info(`${cluster.name}: ${line}`) },
      signal: AbortSignal.any([signal, limit.signal])
    })
    const timer = setTimeout(() => {
      const seconds = String(RECORD_LIMIT / 1000)
      const message = `The API server ${kubernetes.server} did not answer this runner for ${seconds} s.`
      limit.abort(new ActionError('api-server-unreachable', message, { cause: new TransportError('ETIMEDOUT') }))
    }, RECORD_LIMIT)
    try {
      return await kubernetes.record.read()
    } finally {
      clearTimeout(timer)
      kubernetes.close()
    }
  }

  return {
    clusters,
    inventory: createClusterInventory(arm, request.subscriptionId),
    keyVault: createKeyVault(credential, request.cloud),
    vaults: createVaults(arm, request.cloud, request.subscriptionId),
    vaultKeys: createVaultKeys(arm, request.cloud),
    identities: createIdentities(arm),
    authorization: createAuthorization(arm),
    locationOfGroup: (armId) => locationOfGroup(arm, groupOf(armId), signal),
    tenantId: () => tenantOf(arm, request.subscriptionId, signal),
    kubernetes: () => (connection ??= connect()),
    readRecord,
    async close() {
      const connected = await connection?.catch(() => undefined)
      connected?.close()
    },
    approvedPlan,
    run,
    now: Date.now,
    log,
    signal
  }
}

interface ClusterAccess {
  readonly kubeconfig: string
  readonly bearerToken: (() => Promise<string>) | undefined
}

async function accessFromAzure(
  cluster: ManagedClusters,
  body: JsonObject,
  credential: TokenCredential,
  signal: AbortSignal
): Promise<ClusterAccess> {
  if (!usesEntra(body)) return { kubeconfig: await cluster.kubeconfig('admin', signal), bearerToken: undefined }
  return {
    kubeconfig: await cluster.kubeconfig('user', signal),
    async bearerToken() {
      const token = await credential.getToken(AKS_SERVER_SCOPE, { abortSignal: signal })
      if (token === null) throw new Error('The credential gave no token.')
      return token.token
    }
  }
}
