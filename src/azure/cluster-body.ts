import type { Cluster, ClusterIdentity, ClusterPhase, NodePool } from '../model/cluster.ts'
import { asObject, asObjects, asText, isJsonObject, type JsonObject } from '../model/json.ts'
import type { KmsProfile } from '../model/kms-profile.ts'

/*
 * A managed cluster's ARM body, read and changed. Everything that is not ours goes back exactly as it came: read-only and unknown
 * properties too.
 * Source of names: Microsoft.ContainerService/managedClusters, stable API.
 */

export function clusterFromBody(body: JsonObject, upgrades: readonly string[] | undefined): Cluster {
  const properties = asObject(body['properties'])
  const securityProfile = asObject(properties['securityProfile'])
  const pools = poolsOf(properties).map(poolFromBody)
  const provisioningState = asText(properties['provisioningState'])
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
    kms: kmsFromBody(asObject(securityProfile['azureKeyVaultKms'])),
    securityProfile,
    upgrades
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

/** The version of the control plane and of every pool, as `az aks upgrade` sets them. */
export function withKubernetesVersion(body: JsonObject, version: string): JsonObject {
  const properties = asObject(body['properties'])
  return {
    ...body,
    properties: {
      ...properties,
      kubernetesVersion: version,
      agentPoolProfiles: poolsOf(properties).map((pool) => ({ ...pool, orchestratorVersion: version }))
    }
  }
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

function poolFromBody(pool: JsonObject): NodePool {
  return {
    name: asText(pool['name']),
    kubernetesVersion: asText(pool['currentOrchestratorVersion']) || asText(pool['orchestratorVersion']),
    provisioningState: asText(pool['provisioningState'])
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
