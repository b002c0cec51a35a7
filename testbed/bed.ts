import { startAzure, type Azure, type AzureOptions, type ClusterOptions } from './azure/azure.ts'
import type { Identity } from './azure/identities.ts'
import type { JsonObject } from './azure/json.ts'
import { epoch } from './azure/key-versions.ts'
import type { ManagedCluster } from './azure/managed-clusters.ts'
import { approvePrivateEndpoint, type Vault } from './azure/vaults.ts'
import { createCertificateAuthority } from './certificate-authority.ts'
import type { ControlPlane, SeedSecret } from './contract.ts'
import type { RealControlPlane } from './control-plane/real.ts'
import { startEmbeddedControlPlane, type EmbeddedControlPlane } from './embedded-apiserver/server.ts'
import { startGitHubIssuer, type GitHubIssuer } from './github/oidc-issuer.ts'
import { startGitHubApi, type GitHubApi } from './github/rest-api.ts'
import { startNetwork, type Network } from './network.ts'
import { runAction, type RunOptions, type RunResult } from './runner/run-action.ts'

/** What the bed's vault is like: Azure RBAC, Public and protected from purging unless told. */
export interface VaultKind {
  /** Access policies in place of Azure RBAC where false. */
  readonly rbac?: boolean
  /** Closed to public networks; a cluster with KMS reaches it by a private endpoint. */
  readonly private?: boolean
  /** Over the usual `properties`. */
  readonly properties?: JsonObject
}

/** Seconds. */
const FIRST_KEY_AGE = 100 * 86_400

export interface BedOptions extends Pick<AzureOptions, 'cloud' | 'timeScale' | 'offeredVersions' | 'clustersPerPage'> {
  /** KMS is on from the start, under the first version of the key. */
  readonly kms?: boolean
  readonly cluster?: Omit<ClusterOptions, 'kms'>
  readonly vault?: VaultKind
  /** See ControlPlaneOptions. */
  readonly pluginTimeScale?: number
  /** Planted before the first run; into a cluster that the action creates, when its API server first starts. */
  readonly secrets?: readonly SeedSecret[]
  /** There is no cluster yet. */
  readonly unborn?: boolean
}

export interface RealBedOptions extends BedOptions {
  /** One to three behind one address. */
  readonly apiServers?: number
  /** See RealControlPlaneOptions. */
  readonly goawayChance?: number
  readonly durable?: boolean
}

export type Inputs = Readonly<Record<string, string>>

/** AKS on one machine: one cluster, one vault with the key `etcd`, and the action beside them. */
export interface Bed<C extends ControlPlane = ControlPlane> {
  readonly azure: Azure
  readonly github: GitHubIssuer
  readonly githubApi: GitHubApi
  readonly network: Network
  readonly vault: Vault
  /** Throws as long as there is none. */
  readonly cluster: ManagedCluster
  readonly controlPlane: C
  /** Of the cluster's control plane; undefined where that is system-assigned. */
  readonly identity: Identity | undefined
  /** Urls of the versions of the key, oldest first. */
  keyIds(): readonly string[]
  /** Adds a version to the key, as its rotation policy or somebody else does; gives its url. */
  addKeyVersion(): Promise<string>
  /** The inputs of a run on the bed's cluster. */
  inputs(operation: string, more?: Inputs): Inputs
  /** Runs the built action on the bed's cluster, with these inputs over the usual ones. */
  run(operation: string, more?: Inputs, options?: Omit<RunOptions, 'inputs'>): Promise<RunResult>
  stop(): Promise<void>
}

/** With the API server written for the bed: Node alone, quick, and with faults at will. */
export async function startEmbeddedBed(options: BedOptions = {}): Promise<Bed<EmbeddedControlPlane>> {
  return await startBed(options, startEmbeddedControlPlane)
}

/** With real etcd and real API servers, built at first use. */
export async function startRealBed(options: RealBedOptions = {}): Promise<Bed<RealControlPlane>> {
  // Imported here, so that the embedded bed needs none of what the real one is made of.
  const { startRealControlPlane } = await import('./control-plane/real.ts')
  const { apiServers = 1, goawayChance, durable } = options
  return await startBed(options, (common) => startRealControlPlane({ ...common, apiServers, goawayChance, durable }))
}

type CommonOptions = Parameters<typeof startEmbeddedControlPlane>[0]

async function startBed<C extends ControlPlane>(
  options: BedOptions,
  startControlPlane: (options: CommonOptions) => Promise<C>
): Promise<Bed<C>> {
  const closers: (() => Promise<void> | void)[] = []
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close()
  }
  try {
    const network = await startNetwork({ certificateAuthority: await createCertificateAuthority() })
    closers.push(() => network.close())
    const github = await startGitHubIssuer()
    closers.push(() => github.close())
    const githubApi = startGitHubApi(network)
    const { cloud, timeScale, offeredVersions, clustersPerPage } = options
    let born: { readonly cluster: ManagedCluster; readonly controlPlane: C } | undefined
    const bear = async (cluster: ManagedCluster): Promise<C> => {
      const controlPlane = await startControlPlane({
        keyOperations: cluster.keyOperations,
        authenticateToken: (token) => cluster.authenticateToken(token),
        kmsV1: /^1\.(1\d|2[0-6])\./.test(options.cluster?.kubernetesVersion ?? ''),
        encryption: cluster.encryption,
        ...(options.pluginTimeScale !== undefined && { pluginTimeScale: options.pluginTimeScale })
      })
      closers.push(() => controlPlane.stop())
      await controlPlane.seed(options.secrets ?? [])
      born = { cluster, controlPlane }
      return controlPlane
    }
    const azure = await startAzure({
      network,
      github,
      createControlPlane: bear,
      ...(cloud && { cloud }),
      ...(timeScale !== undefined && { timeScale }),
      ...(offeredVersions && { offeredVersions }),
      ...(clustersPerPage !== undefined && { clustersPerPage })
    })
    closers.push(() => {
      azure.close()
    })

    const { rbac = true, private: isPrivate = false, properties } = options.vault ?? {}
    const vault = azure.addVault({
      rbac,
      properties: {
        enablePurgeProtection: true,
        ...(isPrivate && { publicNetworkAccess: 'Disabled' }),
        ...properties
      }
    })
    const first = (await vault.addKey('etcd', { created: epoch() - FIRST_KEY_AGE })).id
    const { name = `aks-${azure.subscriptionId.slice(0, 8)}`, identity = azure.addIdentity() } = options.cluster ?? {}
    if (options.unborn === true && identity !== 'SystemAssigned') {
      const unborn = {
        id: `/subscriptions/${azure.subscriptionId}/resourceGroups/${azure.resourceGroup}`,
        body: { identity: { userAssignedIdentities: { [identity.id]: {} } } }
      }
      azure.permitOperator(unborn, vault)
      azure.permitKms(unborn, vault)
    } else {
      const access = isPrivate
        ? { keyVaultNetworkAccess: 'Private', keyVaultResourceId: vault.id }
        : { keyVaultNetworkAccess: 'Public' }
      const cluster = azure.addCluster({
        ...options.cluster,
        name,
        identity,
        ...(options.kms === true && { kms: { enabled: true, keyId: first, ...access } })
      })
      if (options.kms === true && isPrivate) approvePrivateEndpoint(vault, cluster.id)
      azure.permitOperator(cluster, vault)
      if (identity !== 'SystemAssigned') azure.permitKms(cluster, vault)
      cluster.attach(await bear(cluster))
    }
    const present = (): NonNullable<typeof born> => {
      if (born === undefined) throw new Error('There is no cluster yet.')
      return born
    }

    const inputs = (operation: string, more: Inputs = {}): Inputs => ({
      operation,
      'resource-group': born?.cluster.resourceGroup ?? azure.resourceGroup,
      'cluster-name': name,
      'subscription-id': azure.subscriptionId,
      'tenant-id': azure.tenantId,
      'client-id': azure.application.applicationId,
      ...more
    })
    return {
      azure,
      github,
      githubApi,
      network,
      vault,
      identity: identity === 'SystemAssigned' ? undefined : identity,
      get cluster() {
        return present().cluster
      },
      get controlPlane() {
        return present().controlPlane
      },
      keyIds: () => vault.versions('etcd').map(({ id }) => id),
      addKeyVersion: async () => (await vault.addKey('etcd')).id,
      inputs,
      run: (operation, more, runOptions = {}) =>
        runAction({
          ...runOptions,
          inputs: inputs(operation, more),
          env: { ...network.environment, ...github.environment, ...githubApi.environment, ...runOptions.env }
        }),
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}
