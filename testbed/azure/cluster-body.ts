import { randomUUID } from 'node:crypto'

import { isJsonObject, listAt, objectAt, replaceAt, textAt, type Json, type JsonObject } from './json.ts'

/** What the service answers for whoever sends another value: the rest of a cluster is what was sent last. */
const OWN_PROPERTIES = [
  'provisioningState',
  'powerState',
  'currentKubernetesVersion',
  'fqdn',
  'privateFQDN',
  'azurePortalFQDN',
  'maxAgentPools',
  'nodeResourceGroup',
  'resourceUID',
  'status'
]
const OWN_POOL_PROPERTIES = [
  'provisioningState',
  'powerState',
  'currentOrchestratorVersion',
  'nodeImageVersion',
  'eTag'
]
const OWN_MEMBERS = ['id', 'name', 'type', 'systemData', 'eTag']

/** Stable versions of the API show no `eTag` before this one. */
const FIRST_WITH_ETAG = '2024-09-01'
const PREVIEW_ONLY = ['properties', 'securityProfile', 'kubernetesResourceObjectEncryptionProfile']

export interface NewClusterBody {
  readonly id: string
  readonly location: string
  readonly kubernetesVersion: string
  /** ARM id of the control plane's identity; SystemAssigned without one. */
  readonly identityId: string | undefined
  readonly tenantId: string
  readonly kms: JsonObject | undefined
  readonly vnetIntegration: boolean
  readonly aad: boolean
  readonly disableLocalAccounts: boolean
}

/** A cluster as the service shows one that has been made with little said, two pools of nodes. */
export function defaultClusterBody(options: NewClusterBody): JsonObject {
  const { id, location, kubernetesVersion, identityId, kms } = options
  const name = id.split('/').at(-1) ?? ''
  const group = id.split('/')[4] ?? ''
  const dns = `${name}-${group}`.toLowerCase()
  const pool = (poolName: string, mode: string, count: number): JsonObject => ({
    name: poolName,
    count,
    vmSize: 'Standard_D4ds_v5',
    osDiskSizeGB: 128,
    osDiskType: 'Ephemeral',
    kubeletDiskType: 'OS',
    maxPods: 250,
    type: 'VirtualMachineScaleSets',
    availabilityZones: ['1', '2', '3'],
    enableAutoScaling: false,
    scaleDownMode: 'Delete',
    provisioningState: 'Succeeded',
    powerState: { code: 'Running' },
    orchestratorVersion: kubernetesVersion,
    currentOrchestratorVersion: kubernetesVersion,
    enableNodePublicIP: false,
    mode,
    nodeTaints: mode === 'System' ? ['CriticalAddonsOnly=true:NoSchedule'] : [],
    nodeLabels: { team: 'platform' },
    osType: 'Linux',
    osSKU: 'Ubuntu',
    nodeImageVersion: 'AKSUbuntu-2204gen2containerd-202510.03.0',
    upgradeSettings: { maxSurge: '10%', maxUnavailable: '0' },
    enableFIPS: false,
    securityProfile: { enableVTPM: false, enableSecureBoot: false }
  })
  return {
    id: id.replace('/resourceGroups/', '/resourcegroups/'),
    location,
    name,
    type: 'Microsoft.ContainerService/ManagedClusters',
    kind: 'Base',
    tags: { owner: 'platform' },
    properties: {
      provisioningState: 'Succeeded',
      powerState: { code: 'Running' },
      kubernetesVersion,
      currentKubernetesVersion: kubernetesVersion,
      dnsPrefix: dns,
      fqdn: `${dns}-i6wewx83.hcp.${location}.azmk8s.io`,
      azurePortalFQDN: `${dns}-i6wewx83.portal.hcp.${location}.azmk8s.io`,
      agentPoolProfiles: [pool('system', 'System', 3), pool('work', 'User', 5)],
      servicePrincipalProfile: { clientId: 'msi' },
      nodeResourceGroup: `MC_${group}_${name}_${location}`,
      enableRBAC: true,
      supportPlan: 'KubernetesOfficial',
      networkProfile: {
        networkPlugin: 'azure',
        networkPluginMode: 'overlay',
        networkPolicy: 'cilium',
        networkDataplane: 'cilium',
        loadBalancerSku: 'standard',
        loadBalancerProfile: {
          managedOutboundIPs: { count: 1 },
          effectiveOutboundIPs: [
            { id: `/subscriptions/0/resourceGroups/MC_${group}/providers/Microsoft.Network/publicIPAddresses/egress` }
          ],
          backendPoolType: 'nodeIPConfiguration'
        },
        podCidr: '10.244.0.0/16',
        serviceCidr: '10.0.0.0/16',
        dnsServiceIP: '10.0.0.10',
        outboundType: 'loadBalancer',
        podCidrs: ['10.244.0.0/16'],
        serviceCidrs: ['10.0.0.0/16'],
        ipFamilies: ['IPv4'],
        podLinkLocalAccess: 'IMDS'
      },
      ...(options.aad
        ? { aadProfile: { managed: true, adminGroupObjectIDs: [], enableAzureRBAC: true, tenantID: options.tenantId } }
        : {}),
      ...(options.vnetIntegration ? { apiServerAccessProfile: { enableVnetIntegration: true } } : {}),
      maxAgentPools: 100,
      autoUpgradeProfile: { upgradeChannel: 'none', nodeOSUpgradeChannel: 'NodeImage' },
      disableLocalAccounts: options.disableLocalAccounts,
      securityProfile: kms === undefined ? {} : { azureKeyVaultKms: kms },
      storageProfile: {
        diskCSIDriver: { enabled: true, version: 'v1' },
        fileCSIDriver: { enabled: true },
        snapshotController: { enabled: true }
      },
      oidcIssuerProfile: {
        enabled: true,
        issuerURL: `https://${location}.oic.prod-aks.azure.com/${options.tenantId}/`
      },
      workloadAutoScalerProfile: {},
      metricsProfile: { costAnalysis: { enabled: false } },
      resourceUID: randomUUID().replaceAll('-', '').slice(0, 24),
      controlPlanePluginProfiles: { karpenter: { enableV2: true }, 'live-patching-controller': { enableV2: true } },
      nodeProvisioningProfile: { mode: 'Manual', defaultNodePools: 'Auto' },
      bootstrapProfile: { artifactSource: 'Direct' }
    },
    identity:
      identityId === undefined
        ? { type: 'SystemAssigned' }
        : { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
    sku: { name: 'Base', tier: 'Standard' }
  }
}

/**
 * A cluster after a PUT. Whatever belongs to the service stays as it is; of all the rest only what was sent is left, so
 * that a property forgotten on the way is seen to be gone.
 */
export function afterPut(current: JsonObject, sent: JsonObject, apiVersion: string): JsonObject {
  const pools = listAt(current, 'properties', 'agentPoolProfiles')
  const sentPools = listAt(sent, 'properties', 'agentPoolProfiles').map((pool) => {
    const known = pools.find((one) => textAt(one, 'name') === textAt(pool, 'name'))
    return isJsonObject(pool) ? withOwn(pool, objectAt(known), OWN_POOL_PROPERTIES) : pool
  })
  const properties = {
    ...withOwn(objectAt(sent, 'properties'), objectAt(current, 'properties'), OWN_PROPERTIES),
    ...(sentPools.length === 0 ? {} : { agentPoolProfiles: sentPools })
  }
  const merged: JsonObject = { ...withOwn(sent, current, OWN_MEMBERS), properties }
  if (isPreview(apiVersion)) return merged
  const [, profile = '', hidden = ''] = PREVIEW_ONLY
  const kept = objectAt(current, 'properties', profile)[hidden]
  return kept === undefined ? merged : replaceAt(merged, PREVIEW_ONLY, kept)
}

/** A cluster as one version of the API shows it. */
export function shownBy(apiVersion: string, body: JsonObject): JsonObject {
  const known = isPreview(apiVersion) ? body : replaceAt(body, PREVIEW_ONLY, undefined)
  if (apiVersion >= FIRST_WITH_ETAG) return known
  return mapPools(replaceAt(known, ['eTag'], undefined), (pool) => replaceAt(pool, ['eTag'], undefined))
}

/** New entity tags for the cluster and its pools, as after every write and at the end of every operation. */
export function withNewTags(body: JsonObject): JsonObject {
  return mapPools({ ...body, eTag: randomUUID() }, (pool) => ({ ...pool, eTag: randomUUID() }))
}

export function withProvisioningState(body: JsonObject, cluster: string, pools: string): JsonObject {
  return mapPools(replaceAt(body, ['properties', 'provisioningState'], cluster), (pool) => ({
    ...pool,
    provisioningState: pools
  }))
}

export function mapPools(body: JsonObject, change: (pool: JsonObject) => JsonObject): JsonObject {
  const pools = listAt(body, 'properties', 'agentPoolProfiles')
  if (pools.length === 0) return body
  return replaceAt(
    body,
    ['properties', 'agentPoolProfiles'],
    pools.map((pool): Json => (isJsonObject(pool) ? change(pool) : pool))
  )
}

export function poolsOf(body: JsonObject): readonly JsonObject[] {
  return listAt(body, 'properties', 'agentPoolProfiles').filter((pool) => isJsonObject(pool))
}

/** ARM ids of the identities of the control plane. */
export function identityIds(body: JsonObject): readonly string[] {
  return Object.keys(objectAt(body, 'identity', 'userAssignedIdentities'))
}

function withOwn(sent: JsonObject, current: JsonObject, own: readonly string[]): JsonObject {
  const others = Object.entries(sent).filter(([name]) => !own.includes(name))
  const kept = Object.entries(current).filter(([name]) => own.includes(name))
  return Object.fromEntries([...kept, ...others])
}

function isPreview(apiVersion: string): boolean {
  return apiVersion.endsWith('-preview')
}
