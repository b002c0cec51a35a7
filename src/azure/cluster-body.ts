import type { Cluster, ClusterPhase, NodePool } from '../model/cluster.ts'
import { isJsonObject, type Json, type JsonObject } from '../model/json.ts'
import type { KmsProfile } from '../model/kms-profile.ts'

/*
 * A managed cluster's ARM body, read and changed. Everything that is not ours goes back exactly as it came: read-only and unknown
 * properties too.
 * Source of names: Microsoft.ContainerService/managedClusters, stable API.
 */

export function clusterFromBody(body: JsonObject, upgrades: readonly string[] | undefined): Cluster {
  const properties = object(body['properties'])
  const securityProfile = object(properties['securityProfile'])
  const pools = poolsOf(properties).map(poolFromBody)
  const provisioningState = text(properties['provisioningState'])
  return {
    id: text(body['id']),
    location: text(body['location']),
    phase: phase(provisioningState, text(object(properties['powerState'])['code']), pools),
    provisioningState,
    kubernetesVersion: text(properties['currentKubernetesVersion']) || text(properties['kubernetesVersion']),
    pools,
    identityType: text(object(body['identity'])['type']),
    kms: kmsFromBody(object(securityProfile['azureKeyVaultKms'])),
    securityProfile,
    upgrades
  }
}

/** Turning KMS off leaves the key in the profile, as the Azure CLI does. */
export function withKmsProfile(body: JsonObject, profile: KmsProfile): JsonObject {
  const properties = object(body['properties'])
  const securityProfile = object(properties['securityProfile'])
  const present = object(securityProfile['azureKeyVaultKms'])
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
  const properties = object(body['properties'])
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

function kmsFromBody(profile: JsonObject): KmsProfile {
  if (profile['enabled'] !== true) return { enabled: false }
  return {
    enabled: true,
    keyId: text(profile['keyId']),
    networkAccess: text(profile['keyVaultNetworkAccess']).toLowerCase() === 'private' ? 'Private' : 'Public',
    vaultResourceId: text(profile['keyVaultResourceId']) || undefined
  }
}

function poolFromBody(pool: JsonObject): NodePool {
  return {
    name: text(pool['name']),
    kubernetesVersion: text(pool['currentOrchestratorVersion']) || text(pool['orchestratorVersion']),
    provisioningState: text(pool['provisioningState'])
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
  const pools = properties['agentPoolProfiles']
  return Array.isArray(pools) ? pools.filter(isJsonObject) : []
}

function object(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}

/** Whether the API server takes Microsoft Entra tokens; other clusters give out client certificates. */
export function usesEntra(body: JsonObject): boolean {
  return isJsonObject(object(body['properties'])['aadProfile'])
}
