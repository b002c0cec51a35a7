import type { TokenCredential } from '@azure/core-auth'
import { createAuthorization, type Authorization } from './azure/authorization.ts'
import { usesEntra } from './azure/cluster-body.ts'
import { createCredential } from './azure/credentials.ts'
import { createIdentities, type Identities } from './azure/identities.ts'
import { createKeyVault, type KeyVault } from './azure/key-vault.ts'
import { createManagedClusters, type ManagedClusters } from './azure/managed-clusters.ts'
import { locationOfGroup } from './azure/resource-groups.ts'
import { createResourceManager } from './azure/resource-manager.ts'
import { tenantOf } from './azure/subscriptions.ts'
import { createVaultKeys, type VaultKeys } from './azure/vault-keys.ts'
import { createVaults, type Vaults } from './azure/vaults.ts'
import { connectKubernetes, type Kubernetes } from './kubernetes/kubernetes.ts'
import type { Log } from './log.ts'
import type { ApprovedPlan } from './model/approved-plan.ts'
import { groupOf } from './model/arm-id.ts'
import type { Request } from './request.ts'

/** The Entra application of every AKS API server, the same in all clouds. Source: learn.microsoft.com/azure/aks/kubelogin-authentication */
const AKS_SERVER_SCOPE = '6dae42f8-4368-4678-94ff-3960e28e3630/.default'

/** Everything outside the process that a run touches. */
export interface Platform {
  /** The cluster of the request; undefined where it names none. */
  readonly clusters: ManagedClusters | undefined
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

/** The real one: Azure and the cluster of the request. Nothing is sent before it is first needed. */
export function createPlatform(request: Request, options: PlatformOptions): Platform {
  const { getIdToken, approvedPlan, run, log, signal } = options
  const credential = createCredential(request.credential, request.cloud, { getIdToken })
  const arm = createResourceManager(credential, request.cloud, request.subscriptionId)
  const clusters = request.cluster && createManagedClusters(arm, request.cluster)
  let connection: Promise<Kubernetes> | undefined

  async function connect(): Promise<Kubernetes> {
    const access =
      request.kubeconfig === undefined
        ? await accessFromAzure(clusters, credential, signal)
        : { kubeconfig: request.kubeconfig, bearerToken: undefined }
    return connectKubernetes({
      ...access,
      namespace: request.recordNamespace,
      maxConcurrency: request.maxConcurrency,
      maxRequestsPerSecond: request.maxRequestsPerSecond,
      holder: run ?? `process ${String(process.pid)}`,
      log,
      signal
    })
  }

  return {
    clusters,
    keyVault: createKeyVault(credential, request.cloud),
    vaults: createVaults(arm, request.cloud, request.subscriptionId),
    vaultKeys: createVaultKeys(arm, request.cloud),
    identities: createIdentities(arm),
    authorization: createAuthorization(arm),
    locationOfGroup: (armId) => locationOfGroup(arm, groupOf(armId), signal),
    tenantId: () => tenantOf(arm, request.subscriptionId, signal),
    kubernetes: () => (connection ??= connect()),
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
  clusters: ManagedClusters | undefined,
  credential: TokenCredential,
  signal: AbortSignal
): Promise<ClusterAccess> {
  if (clusters === undefined) throw new Error('Neither a kubeconfig nor a managed cluster leads to an API server.')
  const { body } = await clusters.read(signal)
  if (!usesEntra(body)) return { kubeconfig: await clusters.kubeconfig('admin', signal), bearerToken: undefined }
  return {
    kubeconfig: await clusters.kubeconfig('user', signal),
    async bearerToken() {
      const token = await credential.getToken(AKS_SERVER_SCOPE, { abortSignal: signal })
      if (token === null) throw new Error('The credential gave no token.')
      return token.token
    }
  }
}
