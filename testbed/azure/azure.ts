import { randomUUID } from 'node:crypto'

import type { ControlPlane } from '../contract.ts'
import type { GitHubIssuer } from '../github/oidc-issuer.ts'
import type { Network } from '../network.ts'
import { PUBLIC_CLOUD, type BedCloud } from './clouds.ts'
import { defaultClusterBody, identityIds } from './cluster-body.ts'
import { createEntra, type Application, type Entra, type Principal } from './entra.ts'
import { createIdentities, type Identity } from './identities.ts'
import { listAt, type JsonObject } from './json.ts'
import { changeKey, NO_KEYS, NO_KEYS_IN_ONE_SLOT } from './key-slots.ts'
import { createKeyVaultData } from './key-vault-data.ts'
import { keyVaultRoutes } from './key-vault-management.ts'
import { OFFERED_VERSIONS } from './kubernetes-versions.ts'
import { createManagedClusters, type ManagedCluster } from './managed-clusters.ts'
import { createOperations } from './operations.ts'
import { createResourceGroups } from './resource-groups.ts'
import { createResourceManager } from './resource-manager.ts'
import { createRoleAssignments, type Permissions } from './role-assignments.ts'
import { createTraffic, type Traffic } from './traffic.ts'
import { createVaults, type Vault } from './vaults.ts'

/** How long AKS takes: what was measured, in milliseconds. */
const REAL_DURATIONS = { update: 120_000, upgrade: 300_000, vaultRegistration: 10_000 }

export interface AzureOptions {
  readonly network: Pick<Network, 'serve'>
  /** Whose ID tokens Entra takes for assertions. */
  readonly github: Pick<GitHubIssuer, 'issuer' | 'verify' | 'subject'>
  /** The public cloud unless told. */
  readonly cloud?: BedCloud
  /** How much of a real operation's time one takes in the bed; 0.01 unless told. */
  readonly timeScale?: number
  readonly tenantId?: string
  readonly subscriptionId?: string
  readonly resourceGroup?: string
  readonly location?: string
  /** Kubernetes versions on offer, oldest first. */
  readonly offeredVersions?: readonly string[]
  /** Clusters on one page of a list; all of them unless told. */
  readonly clustersPerPage?: number
  /** Makes the API servers of a cluster that the action itself creates. */
  readonly createControlPlane?: (cluster: ManagedCluster) => Promise<ControlPlane>
}

export interface ClusterOptions {
  readonly name?: string
  readonly resourceGroup?: string
  /** 1.33.6 unless told. */
  readonly kubernetesVersion?: string
  /** The control plane's identity; `SystemAssigned` gives none. A new one is made unless told. */
  readonly identity?: Identity | 'SystemAssigned'
  /** KMS is on with this profile. */
  readonly kms?: JsonObject
  /** The key version in the other slot: the current one before the last rotation. */
  readonly previousKeyId?: string
  /**
   * Unlike AKS, KMS v1 keeps the provider's name when the key changes: no stored value is ever stale. The plugin decrypts
   * under every key that there was.
   */
  readonly kmsProviderName?: 'fixed'
  /** API server VNet integration; on unless told. */
  readonly vnetIntegration?: boolean
  /** Entra sign-in with Azure RBAC; on unless told. */
  readonly aad?: boolean
  readonly disableLocalAccounts?: boolean
  /** A last change to the body, or another one altogether, such as a recorded one with its own id. */
  readonly edit?: (body: JsonObject) => JsonObject
}

export interface VaultOptions {
  readonly name?: string
  readonly resourceGroup?: string
  /** Azure RBAC rather than access policies; on unless told. */
  readonly rbac?: boolean
  /** Over the usual `properties`. */
  readonly properties?: JsonObject
}

/** All of Azure that the action can meet, with one tenant, subscription, resource group and application to begin with. */
export interface Azure extends Pick<Traffic, 'requests' | 'writes' | 'disturb'> {
  readonly cloud: BedCloud
  readonly tenantId: string
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly location: string
  /** The application that the action signs in as: it trusts GitHub's default subject, and may do nothing yet. */
  readonly application: Application
  readonly entra: Entra
  readonly permissions: Permissions
  readonly clusters: readonly ManagedCluster[]
  readonly vaults: readonly Vault[]
  readonly identities: readonly Identity[]
  addSubscription(tenantId?: string): string
  addResourceGroup(name: string, subscriptionId?: string): void
  addIdentity(name?: string): Identity
  addVault(options?: VaultOptions): Vault
  /** Deletes a vault, so that it can be recovered: its name stays taken. */
  removeVault(vault: Vault): void
  addCluster(options?: ClusterOptions): ManagedCluster
  removeCluster(cluster: ManagedCluster): void
  /**
   * Gives the application the least that its work on a cluster takes; without a vault, what the cluster itself takes. The id may
   * be that of a resource group in which the cluster is yet to be created.
   */
  permitOperator(cluster: Pick<ManagedCluster, 'id' | 'body'>, vault?: Vault): void
  /** Gives the application what it takes to prepare key, vault, identity and permissions in a resource group. */
  permitPreparer(resourceGroup?: string): void
  /** Gives the identity of a cluster's control plane what KMS takes on a vault. */
  permitKms(cluster: Pick<ManagedCluster, 'body'>, vault: Vault): void
  /** The identity of a cluster's control plane. */
  identityOf(cluster: Pick<ManagedCluster, 'body'>): Identity
  /** Stops all operations under way. The network stays with who made it. */
  close(): void
}

export async function startAzure(options: AzureOptions): Promise<Azure> {
  const { network, github, cloud = PUBLIC_CLOUD, timeScale = 0.01, location = 'westeurope' } = options
  const { resourceGroup = 'platform', subscriptionId = randomUUID() } = options

  const entra = await createEntra({ cloud, github })
  const resourceGroups = createResourceGroups()
  const identities = createIdentities(resourceGroups)
  const permissions = createRoleAssignments({
    principal: (objectId) => [...entra.applications, ...identities.all].some((one) => one.objectId === objectId)
  })
  const vaults = createVaults({ cloud, permissions, registration: REAL_DURATIONS.vaultRegistration * timeScale })
  const operations = createOperations(cloud)
  const clusters = createManagedClusters({
    cloud,
    entra,
    permissions,
    identities,
    vaults,
    operations,
    resourceGroups,
    offeredVersions: options.offeredVersions ?? OFFERED_VERSIONS,
    durations: { update: REAL_DURATIONS.update * timeScale, upgrade: REAL_DURATIONS.upgrade * timeScale },
    clustersPerPage: options.clustersPerPage ?? Infinity,
    createControlPlane: options.createControlPlane
  })

  const traffic = createTraffic()
  const authorities = [cloud.authorityHost, ...cloud.authorityAliases]
  network.serve((host) => authorities.includes(host), traffic.wrap(entra.handler))
  network.serve(
    cloud.resourceManagerHost,
    traffic.wrap(
      createResourceManager({
        cloud,
        entra,
        permissions,
        subscriptions: resourceGroups,
        routes: [
          ...resourceGroups.routes,
          ...identities.routes,
          ...permissions.routes,
          ...operations.routes,
          ...clusters.routes,
          ...keyVaultRoutes({ vaults, permissions, resourceGroups })
        ]
      })
    )
  )
  // A vault's name leads somewhere as long as there is a vault, as in DNS.
  network.serve((host) => vaults.byHost(host) !== undefined, traffic.wrap(createKeyVaultData({ cloud, entra, vaults })))

  const tenantId = entra.addTenant(options.tenantId)
  resourceGroups.addSubscription(subscriptionId, tenantId)
  resourceGroups.add(subscriptionId, resourceGroup, location)
  const application = entra.addApplication({
    tenantId,
    federatedCredentials: [{ issuer: github.issuer, subject: github.subject, audiences: [cloud.assertionAudience] }]
  })

  const idOf = (type: string, name: string, group = resourceGroup): string =>
    `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/${type}/${name}`
  const identityOf = ({ body }: Pick<ManagedCluster, 'body'>): Identity => {
    const [id = ''] = identityIds(body)
    const identity = identities.byId(id)
    if (identity === undefined) throw new Error('The cluster has no user-assigned identity.')
    return identity
  }
  const azure: Azure = {
    cloud,
    tenantId,
    subscriptionId,
    resourceGroup,
    location,
    application,
    entra,
    permissions,
    get clusters() {
      return clusters.all
    },
    vaults: vaults.all,
    identities: identities.all,
    requests: traffic.requests,
    get writes() {
      return traffic.writes
    },
    disturb: traffic.disturb,
    addSubscription(ofTenant = tenantId) {
      const added = randomUUID()
      resourceGroups.addSubscription(added, ofTenant)
      return added
    },
    addResourceGroup(name, ofSubscription = subscriptionId) {
      resourceGroups.add(ofSubscription, name, location)
    },
    addIdentity: (name = `identity-${short()}`) =>
      identities.add(idOf('Microsoft.ManagedIdentity/userAssignedIdentities', name), location, tenantId),
    addVault: ({ name = `kv-${short()}`, resourceGroup: group, rbac = true, properties = {} } = {}) =>
      vaults.add({ id: idOf('Microsoft.KeyVault/vaults', name, group), location, tenantId, rbac, properties }),
    removeVault: (vault) => vaults.remove(vault),
    addCluster(clusterOptions = {}) {
      const { name = `aks-${short()}`, identity = azure.addIdentity(), kms, edit } = clusterOptions
      const body = defaultClusterBody({
        id: idOf('Microsoft.ContainerService/managedClusters', name, clusterOptions.resourceGroup),
        location,
        kubernetesVersion: clusterOptions.kubernetesVersion ?? '1.33.6',
        identityId: identity === 'SystemAssigned' ? undefined : identity.id,
        tenantId,
        kms,
        vnetIntegration: clusterOptions.vnetIntegration ?? true,
        aad: clusterOptions.aad ?? true,
        disableLocalAccounts: clusterOptions.disableLocalAccounts ?? false
      })
      const { previousKeyId } = clusterOptions
      const keyId = kms?.['enabled'] === true && typeof kms['keyId'] === 'string' ? kms['keyId'] : undefined
      const none = clusterOptions.kmsProviderName === 'fixed' ? NO_KEYS_IN_ONE_SLOT : NO_KEYS
      const before = previousKeyId === undefined ? none : changeKey(none, previousKeyId)
      return clusters.add(edit === undefined ? body : edit(body), changeKey(before, keyId))
    },
    removeCluster: (cluster) => clusters.remove(cluster.id),
    permitOperator(cluster, vault) {
      const { objectId } = application
      permissions.grant(objectId, 'Azure Kubernetes Service Contributor Role', cluster.id)
      permissions.grant(objectId, 'Azure Kubernetes Service RBAC Cluster Admin', cluster.id)
      permissions.grant(objectId, 'Reader', cluster.id)
      for (const id of identityIds(cluster.body)) permissions.grant(objectId, 'Managed Identity Operator', id)
      if (vault === undefined) return
      permissions.grant(objectId, 'Reader', vault.id)
      if (hasAccessPolicies(vault))
        admit(vault, application, ['get', 'list', 'create', 'rotate', 'getrotationpolicy', 'update', 'recover'])
      else permissions.grant(objectId, 'Key Vault Crypto Officer', vault.id)
    },
    permitPreparer(group = resourceGroup) {
      const scope = `/subscriptions/${subscriptionId}/resourceGroups/${group}`
      permissions.grant(application.objectId, 'Key Vault Contributor', scope)
      permissions.grant(application.objectId, 'Key Vault Reader', scope)
      permissions.grant(application.objectId, 'Managed Identity Contributor', scope)
      permissions.grant(application.objectId, 'Role Based Access Control Administrator', scope)
    },
    permitKms(cluster, vault) {
      const identity = identityOf(cluster)
      permissions.grant(identity.objectId, 'Key Vault Contributor', vault.id)
      if (hasAccessPolicies(vault)) admit(vault, identity, ['encrypt', 'decrypt'])
      else permissions.grant(identity.objectId, 'Key Vault Crypto User', vault.id)
    },
    identityOf,
    close() {
      operations.close()
    }
  }
  return azure
}

function hasAccessPolicies(vault: Vault): boolean {
  return vault.properties['enableRbacAuthorization'] !== true
}

function admit(vault: Vault, { tenantId, objectId }: Principal, keys: readonly string[]): void {
  const accessPolicies = listAt(vault.properties, 'accessPolicies')
  vault.setProperties({ accessPolicies: [...accessPolicies, { tenantId, objectId, permissions: { keys } }] })
}

function short(): string {
  return randomUUID().slice(0, 8)
}
