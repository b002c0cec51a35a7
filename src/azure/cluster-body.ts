import type {
  ApiServerAccess,
  Cluster,
  ClusterIdentity,
  ClusterPhase,
  DataEncryption,
  NodePool
} from '../model/cluster.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import { asObject, asObjects, asText, isJsonObject, type JsonObject } from '../model/json.ts'
import type { KmsProfile } from '../model/kms-profile.ts'

/*
 * A managed cluster's ARM body, read and changed. Everything that is not ours goes back exactly as it came: read-only and unknown
 * properties too.
 * Source of names: Microsoft.ContainerService/managedClusters, stable API.
 */

/** Kubernetes versions that can be upgraded to, without previews. */
export interface Upgrades {
  readonly controlPlane: readonly string[]
  /** By the name of the pool. */
  readonly pools: ReadonlyMap<string, readonly string[]>
}

/** What Azure says of a cluster elsewhere than in its body, as far as it was read. */
export interface Aside {
  readonly upgrades?: Upgrades | undefined
  /** Whether it has KMS data encryption, which only previews of the API show. */
  readonly dataEncryption?: boolean | undefined
}

export function clusterFromBody(body: JsonObject, { upgrades, dataEncryption = false }: Aside = {}): Cluster {
  const properties = asObject(body['properties'])
  const securityProfile = asObject(properties['securityProfile'])
  const pools = poolsOf(properties).map((pool) => poolFromBody(pool, upgrades))
  const provisioningState = asText(properties['provisioningState'])
  const kms = kmsFromBody(asObject(securityProfile['azureKeyVaultKms']))
  return {
    id: asText(body['id']),
    location: asText(body['location']),
    phase: phase(provisioningState, asText(asObject(properties['powerState'])['code']), pools),
    provisioningState,
    kubernetesVersion: asText(properties['currentKubernetesVersion']) || asText(properties['kubernetesVersion']),
    pools,
    identityType: asText(asObject(body['identity'])['type']),
    identity: identityOf(asObject(body['identity'])),
    vnetIntegration: asObject(properties['apiServerAccessProfile'])['enableVnetIntegration'] === true,
    kms,
    dataEncryption: dataEncryptionOf(kms, dataEncryption),
    apiServerAccess: apiServerAccess(asObject(properties['apiServerAccessProfile'])),
    azureRbac: asObject(properties['aadProfile'])['enableAzureRBAC'] === true,
    securityProfile,
    upgrades: upgrades?.controlPlane
  }
}

/** Turning KMS off leaves the key in the profile, as the Azure CLI does. */
export function withKmsProfile(body: JsonObject, profile: KmsProfile): JsonObject {
  const properties = asObject(body['properties'])
  const securityProfile = asObject(properties['securityProfile'])
  const present = asObject(securityProfile['azureKeyVaultKms'])
  const azureKeyVaultKms = profile.enabled
    ? {
        ...present,
        enabled: true,
        keyId: profile.keyId,
        keyVaultNetworkAccess: profile.networkAccess,
        ...vaultResourceId(present, profile.vaultResourceId)
      }
    : { ...present, enabled: false }
  return { ...body, properties: { ...properties, securityProfile: { ...securityProfile, azureKeyVaultKms } } }
}

/** The version of the control plane alone, as `az aks upgrade --control-plane-only` sets it. */
export function withControlPlaneVersion(body: JsonObject, version: string): JsonObject {
  return { ...body, properties: { ...asObject(body['properties']), kubernetesVersion: version } }
}

/** The versions of node pools by their names; pools that are not named stay as they are. */
export function withPoolVersions(body: JsonObject, versions: Readonly<Record<string, string>>): JsonObject {
  const properties = asObject(body['properties'])
  const agentPoolProfiles = poolsOf(properties).map((pool) => {
    const version = versions[asText(pool['name'])]
    return version === undefined ? pool : { ...pool, orchestratorVersion: version }
  })
  return { ...body, properties: { ...properties, agentPoolProfiles } }
}

/** An id that must go is sent empty, as the Azure CLI does; where there is none, none is added. */
function vaultResourceId(present: JsonObject, wanted: string | undefined): JsonObject {
  if (wanted !== undefined) return { keyVaultResourceId: wanted }
  return 'keyVaultResourceId' in present ? { keyVaultResourceId: '' } : {}
}

function identityOf(identity: JsonObject): ClusterIdentity | undefined {
  const [assigned] = Object.entries(asObject(identity['userAssignedIdentities']))
  if (assigned === undefined) return undefined
  const [id, shown] = assigned
  return { id, principalId: asText(asObject(shown)['principalId']) || undefined }
}

function kmsFromBody(profile: JsonObject): KmsProfile {
  if (profile['enabled'] !== true) return { enabled: false }
  return {
    enabled: true,
    keyId: asText(profile['keyId']),
    networkAccess: asText(profile['keyVaultNetworkAccess']).toLowerCase() === 'private' ? 'Private' : 'Public',
    vaultResourceId: asText(profile['keyVaultResourceId']) || undefined
  }
}

/** Whether a body by `DATA_ENCRYPTION_API_VERSION` has KMS data encryption. */
export function showsDataEncryption(body: unknown): boolean {
  const { securityProfile } = asObject(asObject(body)['properties'])
  const { kubernetesResourceObjectEncryptionProfile: profile } = asObject(securityProfile)
  return asObject(profile)['infrastructureEncryption'] === 'Enabled'
}

/** A key without a version is one that AKS follows, whichever version of the API shows it. */
function dataEncryptionOf(kms: KmsProfile, shown: boolean): DataEncryption | undefined {
  if (kms.enabled && keyVersionFrom(kms.keyId) === undefined) return 'customer-key'
  if (!shown) return undefined
  return kms.enabled ? 'customer-key' : 'platform-key'
}

function apiServerAccess(profile: JsonObject): ApiServerAccess {
  const ranges: unknown = profile['authorizedIPRanges']
  return {
    isPrivate: profile['enablePrivateCluster'] === true,
    authorizedIpRanges: Array.isArray(ranges) ? ranges.filter((range) => typeof range === 'string') : []
  }
}

function poolFromBody(pool: JsonObject, upgrades: Upgrades | undefined): NodePool {
  const name = asText(pool['name'])
  return {
    name,
    kubernetesVersion: asText(pool['currentOrchestratorVersion']) || asText(pool['orchestratorVersion']),
    provisioningState: asText(pool['provisioningState']),
    upgrades: upgrades?.pools.get(name)
  }
}

/** A state that is none of the three terminal ones is an operation under way: Azure's list of these has no end. */
function phase(provisioningState: string, power: string, pools: readonly NodePool[]): ClusterPhase {
  const states = [provisioningState, ...pools.map((pool) => pool.provisioningState)].filter((state) => state !== '')
  if (provisioningState === 'Deleting') return 'deleting'
  if (states.some((state) => !['Succeeded', 'Failed', 'Canceled'].includes(state))) return 'changing'
  if (power === 'Stopped') return 'stopped'
  return states.every((state) => state === 'Succeeded') ? 'ready' : 'failed'
}

function poolsOf(properties: JsonObject): readonly JsonObject[] {
  return asObjects(properties['agentPoolProfiles'])
}

/** Whether the API server takes Microsoft Entra tokens; other clusters give out client certificates. */
export function usesEntra(body: JsonObject): boolean {
  return isJsonObject(asObject(body['properties'])['aadProfile'])
}
