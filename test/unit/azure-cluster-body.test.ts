import { describe, expect, test } from '@jest/globals'
import {
  clusterFromBody,
  withControlPlaneVersion,
  withKmsProfile,
  withPoolVersions
} from '../../src/azure/cluster-body.ts'
import type { JsonObject } from '../../src/model/json.ts'
import type { KmsProfile } from '../../src/model/kms-profile.ts'
import { RECORDED_CLUSTERS } from './azure-fakes.ts'

const KEY = 'https://vault1.vault.azure.net/keys/kms/0123456789abcdef0123456789abcdef'
const VAULT =
  '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/vault1'
const PUBLIC: KmsProfile = { enabled: true, keyId: KEY, networkAccess: 'Public', vaultResourceId: undefined }
const PRIVATE: KmsProfile = { enabled: true, keyId: KEY, networkAccess: 'Private', vaultResourceId: VAULT }
const OFF: KmsProfile = { enabled: false }

interface Body {
  readonly properties: { securityProfile?: { azureKeyVaultKms?: unknown } }
}

/** A copy in which the one thing that is ours is taken out. */
function withoutKms(body: JsonObject): unknown {
  const copy = structuredClone(body) as unknown as Body
  delete copy.properties.securityProfile?.azureKeyVaultKms
  return copy
}

function kmsOf(body: JsonObject): unknown {
  return (body as unknown as Body).properties.securityProfile?.azureKeyVaultKms
}

function cluster(properties: JsonObject, rest: JsonObject = {}): JsonObject {
  return { id: '/x', location: 'westeurope', ...rest, properties }
}

describe.each(RECORDED_CLUSTERS)('$recording, exchange $exchange', ({ body }) => {
  test.each([PUBLIC, PRIVATE, OFF])('changes nothing but securityProfile.azureKeyVaultKms (%#)', (profile) => {
    const before = structuredClone(body)
    const changed = withKmsProfile(body, profile)
    expect(withoutKms(changed)).toEqual(withoutKms(body))
    expect(kmsOf(changed)).toMatchObject({ enabled: profile.enabled })
    expect(body).toEqual(before)
  })

  test('reads back what was set', () => {
    for (const profile of [PUBLIC, PRIVATE, OFF]) {
      expect(clusterFromBody(withKmsProfile(body, profile)).kms).toEqual(profile)
    }
  })
})

test('enabling gives the profile that the recorded update sent', () => {
  const off = RECORDED_CLUSTERS.find(({ exchange, recording }) => exchange === 21 && recording.includes('public'))
  const on = RECORDED_CLUSTERS.find(({ exchange, recording }) => exchange === 32 && recording.includes('public'))
  if (off === undefined || on === undefined) throw new Error('the recording is missing')
  const kms = clusterFromBody(on.body).kms
  expect(kms).toMatchObject({ enabled: true, networkAccess: 'Public', vaultResourceId: undefined })
  expect(kmsOf(withKmsProfile(off.body, kms))).toEqual(kmsOf(on.body))
})

test('reads a recorded cluster', () => {
  const recorded = RECORDED_CLUSTERS.find(({ exchange, recording }) => exchange === 32 && recording.includes('public'))
  const upgrades = { controlPlane: ['1.23.8'], pools: new Map([['nodepool1', ['1.22.15', '1.23.8']]]) }
  expect(clusterFromBody(recorded?.body ?? {}, { upgrades })).toMatchObject({
    location: 'westus2',
    phase: 'ready',
    provisioningState: 'Succeeded',
    kubernetesVersion: '1.22.11',
    pools: [
      {
        name: 'nodepool1',
        kubernetesVersion: '1.22.11',
        provisioningState: 'Succeeded',
        upgrades: ['1.22.15', '1.23.8']
      }
    ],
    identityType: 'UserAssigned',
    securityProfile: { azureKeyVaultKms: { enabled: true } },
    upgrades: ['1.23.8']
  })
})

describe('the KMS profile', () => {
  const kms = {
    enabled: true,
    keyId: 'old',
    keyVaultNetworkAccess: 'Private',
    keyVaultResourceId: VAULT,
    somethingNew: { a: [1] }
  }
  const on = cluster({ securityProfile: { azureKeyVaultKms: kms, defender: { x: 1 } } })

  test('turning it off leaves everything else in it', () => {
    expect(kmsOf(withKmsProfile(on, OFF))).toEqual({ ...kms, enabled: false })
  })

  test('a public vault takes the place of a private one: the resource id is emptied', () => {
    expect(kmsOf(withKmsProfile(on, PUBLIC))).toEqual({
      enabled: true,
      keyId: KEY,
      keyVaultNetworkAccess: 'Public',
      keyVaultResourceId: '',
      somethingNew: { a: [1] }
    })
  })

  test('on a cluster without a security profile', () => {
    expect(withKmsProfile(cluster({}), PRIVATE)['properties']).toEqual({
      securityProfile: {
        azureKeyVaultKms: {
          enabled: true,
          keyId: KEY,
          keyVaultNetworkAccess: 'Private',
          keyVaultResourceId: VAULT
        }
      }
    })
  })

  test('an empty resource id is none', () => {
    const body = cluster({
      securityProfile: { azureKeyVaultKms: { enabled: true, keyId: KEY, keyVaultResourceId: '' } }
    })
    expect(clusterFromBody(body).kms).toEqual(PUBLIC)
  })

  test('of a cluster where KMS was turned off, or where a profile is null', () => {
    const off = cluster({ securityProfile: { azureKeyVaultKms: { enabled: false, keyId: KEY } } })
    expect(clusterFromBody(off).kms).toEqual(OFF)
    expect(clusterFromBody(cluster({ securityProfile: null })).kms).toEqual(OFF)
  })
})

describe('KMS data encryption', () => {
  const keyId = 'https://vault1.vault.azure.net/keys/kms'
  const following = cluster({ securityProfile: { azureKeyVaultKms: { enabled: true, keyId } } })
  const pinned = cluster({ securityProfile: { azureKeyVaultKms: { enabled: true, keyId: KEY } } })

  test.each([
    ['nothing', cluster({}), false, undefined],
    ['KMS with a pinned version', pinned, false, undefined],
    ['a key without a version', following, false, 'customer-key'],
    ['a key without a version, in a preview too', following, true, 'customer-key'],
    ['a preview alone', cluster({}), true, 'platform-key'],
    [
      'a preview, with KMS off',
      cluster({ securityProfile: { azureKeyVaultKms: { enabled: false } } }),
      true,
      'platform-key'
    ]
  ] as const)('told by %s: %#', (_, body, dataEncryption, expected) => {
    expect(clusterFromBody(body, { dataEncryption }).dataEncryption).toBe(expected)
  })
})

test('how the API server is reached, and who authorizes there', () => {
  const { apiServerAccess, azureRbac, vnetIntegration } = clusterFromBody(
    cluster({
      aadProfile: { managed: true, enableAzureRBAC: true },
      apiServerAccessProfile: {
        enablePrivateCluster: true,
        enableVnetIntegration: true,
        authorizedIPRanges: ['203.0.113.0/24', '198.51.100.7/32']
      }
    })
  )
  expect({ ...apiServerAccess, azureRbac, vnetIntegration }).toEqual({
    isPrivate: true,
    authorizedIpRanges: ['203.0.113.0/24', '198.51.100.7/32'],
    azureRbac: true,
    vnetIntegration: true
  })
  expect(clusterFromBody(cluster({})).apiServerAccess).toEqual({
    isPrivate: false,
    authorizedIpRanges: []
  })
})

describe('the phase', () => {
  const pools = (...states: string[]): JsonObject[] => states.map((state) => ({ name: 'p', provisioningState: state }))
  test.each([
    ['Succeeded', 'Running', ['Succeeded', 'Succeeded'], 'ready'],
    ['Succeeded', 'Running', ['Succeeded', 'Updating'], 'changing'],
    ['Updating', 'Running', ['Succeeded'], 'changing'],
    ['Upgrading', 'Running', ['Succeeded'], 'changing'],
    ['Stopping', 'Running', ['Succeeded'], 'changing'],
    ['Failed', 'Running', ['Updating'], 'changing'],
    ['Failed', 'Running', ['Succeeded'], 'failed'],
    ['Canceled', 'Running', ['Succeeded'], 'failed'],
    ['Succeeded', 'Running', ['Failed'], 'failed'],
    ['Succeeded', 'Stopped', ['Succeeded'], 'stopped'],
    ['Starting', 'Stopped', ['Succeeded'], 'changing'],
    ['Deleting', 'Running', ['Deleting'], 'deleting'],
    ['Succeeded', 'Running', [], 'ready']
  ])('%s, %s, pools %j: %s', (provisioningState, power, states, phase) => {
    const body = cluster({ provisioningState, powerState: { code: power }, agentPoolProfiles: pools(...states) })
    expect(clusterFromBody(body).phase).toBe(phase)
  })
})

describe('the Kubernetes version', () => {
  test('what runs counts, not what was asked for', () => {
    const body = cluster({ kubernetesVersion: '1.26', currentKubernetesVersion: '1.26.12' })
    expect(clusterFromBody(body).kubernetesVersion).toBe('1.26.12')
    expect(clusterFromBody(cluster({ kubernetesVersion: '1.26' })).kubernetesVersion).toBe('1.26')
  })

  /** The body with another text where `property` was. */
  const replaced = (body: JsonObject, property: string): JsonObject =>
    JSON.parse(
      JSON.stringify(body).replaceAll(new RegExp(`"${property}":"[^"]+"`, 'g'), `"${property}":"9.9.9"`)
    ) as JsonObject

  test.each(RECORDED_CLUSTERS)(
    '$recording, exchange $exchange: of the control plane, and of nothing else',
    ({ body }) => {
      expect(withControlPlaneVersion(body, '9.9.9')).toEqual(replaced(body, 'kubernetesVersion'))
    }
  )

  test.each(RECORDED_CLUSTERS)('$recording, exchange $exchange: of a node pool, and of nothing else', ({ body }) => {
    const [pool] = clusterFromBody(body).pools
    expect(withPoolVersions(body, { [pool?.name ?? '']: '9.9.9' })).toEqual(replaced(body, 'orchestratorVersion'))
    expect(withPoolVersions(body, { other: '9.9.9' })).toEqual(body)
  })
})
