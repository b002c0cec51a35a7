import { FIRST_KMS_V2_MINOR, minor } from '../../src/model/kubernetes-version.ts'
import type { ControlPlane, EncryptionConfiguration, KeyOperations, KubernetesUser } from '../contract.ts'
import type { WireAnswer } from '../network.ts'
import { AKS_SERVER_APPLICATION, type BedCloud } from './clouds.ts'
import {
  afterPut,
  identityIds,
  mapPools,
  poolsOf,
  shownBy,
  withNewTags,
  withProvisioningState
} from './cluster-body.ts'
import { adminCredential, userCredential } from './cluster-credentials.ts'
import {
  aksFault,
  changesModeInPlace,
  checkKmsProfile,
  kmsEnabled,
  kmsOf,
  wantedPoolVersions,
  wantedVersion
} from './cluster-rules.ts'
import type { Entra, Principal } from './entra.ts'
import type { Identities } from './identities.ts'
import { at, listAt, objectAt, replaceAt, textAt, type JsonObject } from './json.ts'
import { changeKey, droppedKey, encryptionOf, liesUnder, NO_KEYS, type KeySlots } from './key-slots.ts'
import { showUpgradeProfile } from './kubernetes-versions.ts'
import { OperationFailed, type Operation, type Operations } from './operations.ts'
import { armFault, isUnder, resourceNotFound, sameId } from './resource-manager.ts'
import type { ArmCall, ArmRoute } from './resource-manager.ts'
import type { Permissions } from './role-assignments.ts'
import { VaultFault } from './vault-fault.ts'
import { approvePrivateEndpoint, type Vaults } from './vaults.ts'

const TYPE = 'Microsoft.ContainerService/managedClusters'
const GROUP = '/subscriptions/{subscription}/resourceGroups/{group}'
const CLUSTER = `${GROUP}/providers/${TYPE}/{name}`

/** The groups that the bed's Kubernetes lets write Secrets, or get ConfigMaps; whoever Azure allows that is in them. */
export const KUBERNETES_OPERATORS = 'aks-kms-operators'
export const KUBERNETES_READERS = 'aks-kms-readers'

/** A managed cluster, with all that a test may look at or do behind the action's back. */
export interface ManagedCluster {
  readonly id: string
  readonly name: string
  readonly resourceGroup: string
  readonly subscriptionId: string
  /** As the newest preview of the API shows it. */
  readonly body: JsonObject
  readonly slots: KeySlots
  /** What the API servers run with now. */
  readonly encryption: EncryptionConfiguration
  /** Key Vault as the cluster's KMS plugins reach it, with the identity of the control plane. */
  readonly keyOperations: KeyOperations
  /** Who an access token for AKS belongs to; undefined for the API server to answer 401. */
  authenticateToken(token: string): KubernetesUser | undefined
  /** Gives the cluster its API servers. Without any, nothing is rolled and no Secret is in the way. */
  attach(controlPlane: ControlPlane): void
  /** The last long-running operation. */
  readonly operation: Operation | undefined
  /** True while the operation waits for Secrets that would be lost with the oldest key. */
  readonly stuck: boolean
  /** Lets a stuck operation look again whether Secrets are in the way. */
  retryStuck(): void
  /** Resolves when no operation is under way any more. */
  settled(): Promise<void>
  /** Changes the body at once, without an operation, as somebody else's finished change. */
  change(edit: (body: JsonObject) => JsonObject): void
  /** Puts another KMS profile, as somebody else does, with all that follows. Resolves when it is over. */
  changeKms(profile: JsonObject): Promise<void>
  setProvisioningState(state: string, pools?: string): void
  setPowerState(code: 'Running' | 'Stopped'): void
  /** Ends the next operation as Failed: before the API servers are changed, or after they were. */
  failNextOperation(failure: { readonly code: string; readonly message: string; readonly afterRoll?: boolean }): void
}

export interface ManagedClusters {
  readonly all: readonly ManagedCluster[]
  add(body: JsonObject, slots?: KeySlots): ManagedCluster
  remove(id: string): void
  byId(id: string): ManagedCluster | undefined
  readonly routes: readonly ArmRoute[]
}

export interface ManagedClustersOptions {
  readonly cloud: BedCloud
  readonly entra: Entra
  readonly permissions: Permissions
  readonly identities: Identities
  readonly vaults: Vaults
  readonly operations: Operations
  readonly resourceGroups: { exists(subscriptionId: string, name: string): boolean }
  readonly offeredVersions: readonly string[]
  /** Milliseconds that an update and an upgrade take in the bed. */
  readonly durations: { readonly update: number; readonly upgrade: number }
  /** On one page of a list. */
  readonly clustersPerPage: number
  /** Makes the API servers of a cluster that is created by a PUT. */
  readonly createControlPlane: ((cluster: ManagedCluster) => Promise<ControlPlane>) | undefined
}

interface ClusterState {
  body: JsonObject
  slots: KeySlots
  encryption: EncryptionConfiguration
  controlPlane: ControlPlane | undefined
  operation: Operation | undefined
  /** Set while an operation is stuck. */
  lookAgain: (() => void) | undefined
  failure: { readonly code: string; readonly message: string; readonly afterRoll?: boolean } | undefined
}

interface Clusters {
  readonly state: ClusterState
  readonly handle: ManagedCluster
}

export function createManagedClusters(options: ManagedClustersOptions): ManagedClusters {
  const { cloud, entra, permissions, identities, vaults, operations, offeredVersions } = options
  const clusters: Clusters[] = []
  const byId = (id: string): Clusters | undefined => clusters.find(({ handle }) => sameId(handle.id, id))

  /** The identity that the KMS plugins sign in with. */
  const controlPlaneIdentity = (body: JsonObject): Principal => {
    const [identityId = ''] = identityIds(body)
    const identity = identities.byId(identityId)
    if (identity === undefined) throw new Error(`The managed identity '${identityId}' does not exist.`)
    return identity
  }

  const keyOperationsOf = (state: ClusterState, clusterId: string): KeyOperations => {
    const origin = { privateEndpointOf: clusterId }
    return {
      encrypt: async (keyId, plaintext) =>
        vaults.encrypt(keyId, 'RSA-OAEP-256', plaintext, controlPlaneIdentity(state.body), origin),
      decrypt: async (keyId, ciphertext) =>
        vaults.decrypt(keyId, 'RSA-OAEP-256', ciphertext, controlPlaneIdentity(state.body), origin)
    }
  }

  /** Throws what Key Vault says where the cluster can't work with a key. */
  const tryKey = (keyId: string, body: JsonObject, clusterId: string): void => {
    const origin = { privateEndpointOf: clusterId }
    const identity = controlPlaneIdentity(body)
    const sealed = vaults.encrypt(keyId, 'RSA-OAEP-256', Buffer.from('healthcheck'), identity, origin)
    vaults.decrypt(keyId, 'RSA-OAEP-256', sealed, identity, origin)
  }

  const authenticateToken = (state: ClusterState, clusterId: string, token: string): KubernetesUser | undefined => {
    const aad = objectAt(state.body, 'properties', 'aadProfile')
    if (aad['managed'] !== true) return undefined
    const access = entra.verifyAccessToken(token, AKS_SERVER_APPLICATION)
    if ('problem' in access || access.principal.tenantId !== textAt(aad, 'tenantID')) return undefined
    const { objectId } = access.principal
    const secrets = 'Microsoft.ContainerService/managedClusters/secrets/write'
    const admins = listAt(aad, 'adminGroupObjectIDs')
    const allowed =
      (aad['enableAzureRBAC'] === true && permissions.allowsData(objectId, secrets, clusterId)) ||
      access.groups.some((group) => admins.includes(group))
    const reads =
      aad['enableAzureRBAC'] === true &&
      permissions.allowsData(objectId, 'Microsoft.ContainerService/managedClusters/configmaps/read', clusterId)
    const own = allowed ? [KUBERNETES_OPERATORS] : reads ? [KUBERNETES_READERS] : []
    return { username: objectId, groups: [...access.groups, ...own] }
  }

  const apiVersionOf = (kubernetesVersion: string): 'v1' | 'v2' =>
    minor(kubernetesVersion) < FIRST_KMS_V2_MINOR ? 'v1' : 'v2'

  /** Waits, for ever if need be, until no Secret would be lost with the key that has to make room. */
  const makeRoom = async (state: ClusterState, next: KeySlots): Promise<void> => {
    const dropped = droppedKey(state.slots, next)
    if (dropped === undefined) return
    for (;;) {
      const secrets = (await state.controlPlane?.storedSecrets()) ?? []
      if (!secrets.some((secret) => liesUnder(secret, dropped))) return
      await new Promise<void>((resolve) => {
        state.lookAgain = resolve
      })
    }
  }

  /** AKS makes itself a private endpoint to a Private vault, which the cluster's identity has to approve. */
  const connectPrivately = (body: JsonObject, clusterId: string): void => {
    const kms = kmsOf(body)
    if (!kmsEnabled(body) || kms['keyVaultNetworkAccess'] !== 'Private') return
    const vaultId = textAt(kms, 'keyVaultResourceId')
    const vault = vaults.byId(vaultId)
    if (vault === undefined) throw new OperationFailed('ResourceNotFound', `The vault '${vaultId}' was not found.`)
    const action = 'Microsoft.KeyVault/vaults/privateEndpointConnectionsApproval/action'
    const identity = controlPlaneIdentity(body)
    if (!permissions.allows(identity.objectId, action, vault.id)) {
      throw new OperationFailed(
        'LinkedAuthorizationFailed',
        `The client '${identity.applicationId}' with object id '${identity.objectId}' has permission to perform action 'Microsoft.Network/privateEndpoints/write' on scope '${clusterId}'; however, it does not have permission to perform action(s) '${action}' on the linked scope(s) '${vault.id}' (respectively) or the linked scope(s) are invalid.`
      )
    }
    approvePrivateEndpoint(vault, clusterId)
  }

  /** Starts the operation that takes a cluster from the body it has to another one. */
  const begin = (
    { state, handle }: Clusters,
    target: {
      readonly body: JsonObject
      readonly version: string
      readonly poolVersions: ReadonlyMap<string, string>
      readonly word: string
    }
  ): Operation => {
    const before = state.body
    const { version, poolVersions } = target
    const restarts = version !== textAt(before, 'properties', 'currentKubernetesVersion')
    const failure = state.failure
    state.failure = undefined
    state.body = withNewTags(withProvisioningState(target.body, target.word, target.word))

    const work = async (): Promise<void> => {
      if (failure !== undefined && failure.afterRoll !== true) throw new OperationFailed(failure.code, failure.message)
      const { body } = state
      if (changesModeInPlace(before, body)) throw new OperationFailed('InternalOperationError', 'Internal server error')
      connectPrivately(body, handle.id)
      const keyId = keyIdOf(body)
      const next = changeKey(state.slots, keyId)
      await makeRoom(state, next)
      if (keyId !== undefined) {
        try {
          tryKey(keyId, body, handle.id)
        } catch (error) {
          // What AKS calls this when it is found out late is not known; the words are Key Vault's.
          const inner = error instanceof VaultFault ? (error.innerCode ?? error.code) : 'Unreachable'
          throw new OperationFailed(
            'InternalOperationError',
            `${inner}: ${error instanceof Error ? error.message : String(error)}`
          )
        }
      }
      const encryption = encryptionOf(next, apiVersionOf(version))
      if (target.word === 'Creating') {
        state.encryption = encryption
        state.controlPlane = await options.createControlPlane?.(handle)
      } else if (restarts || JSON.stringify(encryption) !== JSON.stringify(state.encryption)) {
        await state.controlPlane?.roll(encryption)
      }
      state.slots = next
      state.encryption = encryption
      if (failure !== undefined) throw new OperationFailed(failure.code, failure.message)
    }

    const settle = (failed: OperationFailed | undefined): void => {
      const word = failed === undefined ? 'Succeeded' : 'Failed'
      const ended = withProvisioningState(state.body, word, word)
      const upgraded = mapPools(replaceAt(ended, ['properties', 'currentKubernetesVersion'], version), (pool) => ({
        ...pool,
        currentOrchestratorVersion: poolVersions.get(textAt(pool, 'name')) ?? version
      }))
      state.body = withNewTags(failed === undefined ? upgraded : ended)
    }

    const operation = operations.begin({
      subscriptionId: handle.subscriptionId,
      location: textAt(state.body, 'location'),
      duration: changesVersions(before, version, poolVersions) ? options.durations.upgrade : options.durations.update,
      stuck: () => state.lookAgain !== undefined,
      work,
      settle
    })
    state.operation = operation
    return operation
  }

  const addCluster = (body: JsonObject, slots?: KeySlots): Clusters => {
    const [, , subscriptionId = '', , resourceGroup = '', , , , name = ''] = textAt(body, 'id').split('/')
    const id = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/${TYPE}/${name}`
    const held = slots ?? changeKey(NO_KEYS, keyIdOf(body))
    const version = textAt(body, 'properties', 'currentKubernetesVersion')
    const state: ClusterState = {
      body: withNewTags(withIdentities(body, identities)),
      slots: held,
      encryption: encryptionOf(held, apiVersionOf(version)),
      controlPlane: undefined,
      operation: undefined,
      lookAgain: undefined,
      failure: undefined
    }
    const handle: ManagedCluster = {
      id,
      name,
      resourceGroup,
      subscriptionId,
      get body() {
        return state.body
      },
      get slots() {
        return state.slots
      },
      get encryption() {
        return state.encryption
      },
      keyOperations: keyOperationsOf(state, id),
      authenticateToken: (token) => authenticateToken(state, id, token),
      attach(controlPlane) {
        state.controlPlane = controlPlane
      },
      get operation() {
        return state.operation
      },
      get stuck() {
        return state.lookAgain !== undefined
      },
      retryStuck() {
        const look = state.lookAgain
        state.lookAgain = undefined
        look?.()
      },
      async settled() {
        await state.operation?.ended
      },
      change(edit) {
        state.body = withNewTags(edit(state.body))
      },
      async changeKms(profile) {
        const wanted = replaceAt(state.body, ['properties', 'securityProfile', 'azureKeyVaultKms'], profile)
        await begin(cluster, { ...unchangedVersions(state.body), body: wanted, word: 'Updating' }).ended
      },
      setProvisioningState(word, pools = word) {
        state.body = withNewTags(withProvisioningState(state.body, word, pools))
      },
      setPowerState(code) {
        const stopped = mapPools(state.body, (pool) => ({ ...pool, powerState: { code } }))
        state.body = withNewTags(replaceAt(stopped, ['properties', 'powerState'], { code }))
      },
      failNextOperation(failure) {
        state.failure = failure
      }
    }
    const cluster: Clusters = { state, handle }
    clusters.push(cluster)
    return cluster
  }

  const put = (call: ArmCall): WireAnswer => {
    const { parameters, resourceId, apiVersion, body: sent } = call
    const { subscription = '', group = '' } = parameters
    if (!options.resourceGroups.exists(subscription, group)) return resourceGroupNotFound(group)
    if (textAt(sent, 'location') === '') {
      return armFault(400, 'LocationRequired', 'The location property is required for this definition.')
    }
    const linked = checkLinkedResources(call, permissions, identities)
    if (linked !== undefined) return linked
    const existing = byId(resourceId)
    const conditions = checkConditions(call, existing?.state.body)
    if (conditions !== undefined) return conditions

    const before = existing?.state.body ?? newborn(resourceId, sent, offeredVersions)
    const wanted = afterPut(before, sent, apiVersion)
    const version =
      existing === undefined
        ? textAt(before, 'properties', 'currentKubernetesVersion')
        : wantedVersion(offeredVersions, before, sent)
    if (typeof version !== 'string') return version
    const poolVersions = wantedPoolVersions(offeredVersions, wanted, version)
    if ('status' in poolVersions) return poolVersions
    const refusal = checkKmsProfile(wanted) ?? checkKeyAccess(wanted, resourceId)
    if (refusal !== undefined) return refusal

    const cluster = existing ?? addCluster(replaceAt(before, ['properties', 'securityProfile'], undefined), NO_KEYS)
    const upgrades = existing !== undefined && changesVersions(before, version, poolVersions)
    const word = existing === undefined ? 'Creating' : upgrades ? 'Upgrading' : 'Updating'
    const operation = begin(cluster, { body: withIdentities(wanted, identities), version, poolVersions, word })
    return {
      status: existing === undefined ? 201 : 200,
      headers: { 'content-type': 'application/json', 'azure-asyncoperation': operation.url },
      body: shownBy(apiVersion, cluster.state.body)
    }
  }

  /** AKS tries the key of a Public vault at once; a Private one it can't reach from where it checks. */
  const checkKeyAccess = (body: JsonObject, clusterId: string): WireAnswer | undefined => {
    const kms = kmsOf(body)
    if (!kmsEnabled(body) || kms['keyVaultNetworkAccess'] !== 'Public') return undefined
    const keyId = textAt(kms, 'keyId')
    try {
      tryKey(keyId, body, clusterId)
      return undefined
    } catch {
      return aksFault(
        400,
        'AzureKeyVaultKmsValidateIdentityPermissionCustomerError',
        `The identity does not have keys encrypt/decrypt permission on key vault "https://${new URL(keyId).host}"`
      )
    }
  }

  const withCluster =
    (handle: (cluster: Clusters, call: ArmCall) => WireAnswer): ArmRoute['handle'] =>
    (call) => {
      const { name = '', group = '', subscription = '' } = call.parameters
      if (!options.resourceGroups.exists(subscription, group)) return resourceGroupNotFound(group)
      const id =
        call.request.method === 'GET' ? call.resourceId.replace(/\/upgradeProfiles\/default$/i, '') : call.resourceId
      const found = byId(id)
      return found === undefined ? resourceNotFound(TYPE, name, group) : handle(found, call)
    }

  const list: ArmRoute['handle'] = ({ resourceId, apiVersion, request, parameters }) => {
    const { subscription = '', group } = parameters
    if (group !== undefined && !options.resourceGroups.exists(subscription, group)) {
      return armFault(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`)
    }
    const scope = resourceId.replace(/\/providers\/.*$/i, '')
    const found = clusters.filter(({ handle }) => isUnder(handle.id, scope))
    const from = Number(request.query.get('$skiptoken') ?? 0)
    const end = from + options.clustersPerPage
    const value = found.slice(from, end).map(({ state }) => shownBy(apiVersion, state.body))
    const nextLink = `https://${cloud.resourceManagerHost}${request.path}?api-version=${apiVersion}&%24skiptoken=${end}`
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: { value, ...(end < found.length ? { nextLink } : {}) }
    }
  }

  const read = `${TYPE}/read`
  return {
    get all() {
      return clusters.map(({ handle }) => handle)
    },
    add: (body, slots) => addCluster(body, slots).handle,
    remove(id) {
      const index = clusters.findIndex(({ handle }) => sameId(handle.id, id))
      if (index >= 0) clusters.splice(index, 1)
    },
    byId: (id) => byId(id)?.handle,
    routes: [
      { method: 'GET', path: `/subscriptions/{subscription}/providers/${TYPE}`, action: read, handle: list },
      { method: 'GET', path: `${GROUP}/providers/${TYPE}`, action: read, handle: list },
      {
        method: 'GET',
        path: CLUSTER,
        action: read,
        handle: withCluster(({ state }, { apiVersion }) => ({
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: shownBy(apiVersion, state.body)
        }))
      },
      { method: 'PUT', path: CLUSTER, action: `${TYPE}/write`, handle: put },
      {
        method: 'GET',
        path: `${CLUSTER}/upgradeProfiles/default`,
        action: `${TYPE}/upgradeProfiles/read`,
        handle: withCluster(({ state, handle }) => ({
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: showUpgradeProfile(
            handle.id,
            offeredVersions,
            textAt(state.body, 'properties', 'currentKubernetesVersion'),
            poolsOf(state.body).map((pool) => ({
              name: textAt(pool, 'name'),
              version: textAt(pool, 'currentOrchestratorVersion')
            }))
          )
        }))
      },
      {
        method: 'POST',
        path: `${CLUSTER}/listClusterUserCredential`,
        action: `${TYPE}/listClusterUserCredential/action`,
        handle: withCluster(({ state }, { request }) =>
          userCredential({ ...state, cloud }, request.query.get('format') ?? 'exec')
        )
      },
      {
        method: 'POST',
        path: `${CLUSTER}/listClusterAdminCredential`,
        action: `${TYPE}/listClusterAdminCredential/action`,
        handle: withCluster(({ state }) => adminCredential({ ...state, cloud }))
      }
    ]
  }
}

function resourceGroupNotFound(name: string): WireAnswer {
  return armFault(404, 'ResourceGroupNotFound', `Resource group '${name}' could not be found.`)
}

function keyIdOf(body: JsonObject): string | undefined {
  return kmsEnabled(body) ? textAt(kmsOf(body), 'keyId') : undefined
}

function changesVersions(before: JsonObject, controlPlane: string, pools: ReadonlyMap<string, string>): boolean {
  const { version, poolVersions } = unchangedVersions(before)
  return controlPlane !== version || [...pools].some(([name, one]) => one !== poolVersions.get(name))
}

function unchangedVersions(body: JsonObject): {
  readonly version: string
  readonly poolVersions: ReadonlyMap<string, string>
} {
  return {
    version: textAt(body, 'properties', 'currentKubernetesVersion'),
    poolVersions: new Map(
      poolsOf(body).map((pool) => [textAt(pool, 'name'), textAt(pool, 'currentOrchestratorVersion')])
    )
  }
}

/** A cluster that is about to be created, before anything that was sent is put into it. */
function newborn(id: string, sent: JsonObject, offered: readonly string[]): JsonObject {
  const asked = textAt(sent, 'properties', 'kubernetesVersion')
  const version =
    offered.filter((one) => one === asked || one.startsWith(asked === '' ? '1.33.' : `${asked}.`)).at(-1) ?? asked
  const [, , , , group = '', , , , name = ''] = id.split('/')
  const location = textAt(sent, 'location')
  return {
    id: id.replace('/resourceGroups/', '/resourcegroups/'),
    name,
    type: 'Microsoft.ContainerService/ManagedClusters',
    location,
    properties: {
      powerState: { code: 'Running' },
      currentKubernetesVersion: version,
      fqdn: `${name}-${group}.hcp.${location}.azmk8s.io`.toLowerCase(),
      maxAgentPools: 100,
      nodeResourceGroup: `MC_${group}_${name}_${location}`
    }
  }
}

/** The service fills in who the identities are. */
function withIdentities(body: JsonObject, identities: Identities): JsonObject {
  return identityIds(body).reduce((filled, id) => {
    const identity = identities.byId(id)
    if (identity === undefined) return filled
    const { applicationId: clientId, objectId: principalId } = identity
    return replaceAt(filled, ['identity', 'userAssignedIdentities', id], { clientId, principalId })
  }, body)
}

/** ARM asks, at every PUT, whether the caller may use what the body refers to. */
function checkLinkedResources(
  { body, caller, resourceId }: ArmCall,
  permissions: Permissions,
  identities: Identities
): WireAnswer | undefined {
  const omsAgent = objectAt(body, 'properties', 'addonProfiles', 'omsagent')
  const workspace = omsAgent['enabled'] === true ? textAt(omsAgent, 'config', 'logAnalyticsWorkspaceResourceID') : ''
  const linked = [
    ...identityIds(body).map((id) => ({
      id,
      action: 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action'
    })),
    ...(workspace === '' ? [] : [{ id: workspace, action: 'Microsoft.OperationalInsights/workspaces/sharedkeys/read' }])
  ]
  const forbidden = linked.find(({ id, action }) => !permissions.allows(caller.objectId, action, id))
  if (forbidden !== undefined) {
    return armFault(
      403,
      'LinkedAuthorizationFailed',
      `The client '${caller.applicationId}' with object id '${caller.objectId}' has permission to perform action '${TYPE}/write' on scope '${resourceId}'; however, it does not have permission to perform action(s) '${forbidden.action}' on the linked scope(s) '${forbidden.id}' (respectively) or the linked scope(s) are invalid.`
    )
  }
  const missing = identityIds(body).find((id) => identities.byId(id) === undefined)
  if (missing === undefined) return undefined
  return armFault(
    400,
    'FailedIdentityOperation',
    `Identity operation for resource '${resourceId}' failed with error 'Failed to perform resource identity operation. Status: 'BadRequest'. Response: '{"error":{"code":"BadRequest","message":"Resource '${missing}' was not found."}}'.'.`
  )
}

/** What stands against any change: another one under way, a stopped cluster, or a body that has changed since it was read. */
function checkConditions({ request, apiVersion }: ArmCall, current: JsonObject | undefined): WireAnswer | undefined {
  const tagged = apiVersion >= '2024-09-01'
  const ifMatch = tagged ? request.headers['if-match'] : undefined
  if (current === undefined) {
    if (ifMatch === undefined) return undefined
    return aksFault(
      412,
      'PreconditionFailed',
      'Resource not found but ETag header is provided. If this is a request to create, please do not provide ETag.'
    )
  }
  const state = textAt(current, 'properties', 'provisioningState')
  if (!['Succeeded', 'Failed', 'Canceled'].includes(state)) {
    return aksFault(
      409,
      'OperationNotAllowed',
      `Operation is not allowed: Another operation (${textAt(current, 'name')} - ${state}) is in progress, please wait for it to finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details`
    )
  }
  if (textAt(current, 'properties', 'powerState', 'code') === 'Stopped') {
    return aksFault(
      409,
      'OperationNotAllowed',
      `managed cluster is in Provisioning State(${state}) and Power State(Stopped), updating cannot be performed`
    )
  }
  const unchanged = ifMatch === undefined || ifMatch === '*' || ifMatch === at(current, 'eTag')
  if (unchanged && (!tagged || request.headers['if-none-match'] !== '*')) return undefined
  return aksFault(412, 'PreconditionFailed', 'Etag mismatch: the resource has changed since it was read.')
}
