import { describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed, type BedOptions } from '../../testbed/bed.ts'
import { AIR_GAPPED_CLOUD, CHINA_CLOUD, US_GOVERNMENT_CLOUD, type BedCloud } from '../../testbed/azure/clouds.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, recordOf } from './expectations.ts'
import { kubeconfigOfAdministrator } from './kubeconfigs.ts'

const seeds = demoSecrets({ secrets: 20, namespaces: 3 })

async function withBed(options: BedOptions, body: (bed: Bed<EmbeddedControlPlane>) => Promise<void>): Promise<void> {
  const bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds, ...options })
  try {
    await body(bed)
    expect(bed.network.refused).toEqual([])
    expect(bed.network.failures).toEqual([])
  } finally {
    await bed.stop()
  }
}

async function expectRotated(bed: Bed, inputs: Readonly<Record<string, string>> = {}): Promise<void> {
  expectGreen(await bed.run('rotate', inputs))
  await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
}

describe('clouds', () => {
  const endpoints = JSON.stringify({
    authority: `https://${AIR_GAPPED_CLOUD.authorityHost}`,
    resourceManager: `https://${AIR_GAPPED_CLOUD.resourceManagerHost}`,
    vaultSuffix: AIR_GAPPED_CLOUD.vaultSuffix,
    audience: AIR_GAPPED_CLOUD.assertionAudience
  })

  test.each<[string, BedCloud, string]>([
    ['Azure Government', US_GOVERNMENT_CLOUD, 'AzureUSGovernment'],
    ['Azure in China', CHINA_CLOUD, 'AzureChinaCloud'],
    ['an air-gapped cloud, by its endpoints', AIR_GAPPED_CLOUD, endpoints]
  ])('%s: the whole life of a cluster, with the hosts of that cloud alone', async (_, cloud, azureCloud) => {
    const inputs = { 'azure-cloud': azureCloud }
    await withBed({ cloud, kms: false }, async (bed) => {
      const [first = ''] = bed.keyIds()
      expect(new URL(first).host).toMatch(new RegExp(`\\.${cloud.vaultSuffix.replaceAll('.', '\\.')}$`))
      expectGreen(await bed.run('enable', { ...inputs, 'key-id': first }))
      await expectStored(bed, seeds, first)
      await expectRotated(bed, inputs)
      expectGreen(await bed.run('disable', inputs))
      await expectStored(bed, seeds, 'identity')
      const hosts = [cloud.authorityHost, cloud.resourceManagerHost, new URL(bed.vault.url).host]
      expect(new Set(bed.network.connected)).toEqual(new Set(hosts.map((host) => `${host}:443`)))
    })
  })

  test('a key of another cloud is refused before anybody is asked', async () => {
    await withBed({ cloud: CHINA_CLOUD }, async (bed) => {
      const elsewhere = { 'azure-cloud': 'AzureChinaCloud', 'key-id': 'https://kv-x.vault.azure.net/keys/etcd/abc' }
      expectRed(await bed.run('rotate', elsewhere), 'key-id-other-cloud')
      expect(bed.network.connected).toEqual([])
    })
  })
})

describe('the Kubernetes API', () => {
  test('of a cluster without Entra: by the administrator’s certificate', async () => {
    await withBed({ cluster: { aad: false } }, async (bed) => {
      bed.azure.permissions.grant(
        bed.azure.application.objectId,
        'Azure Kubernetes Service Cluster Admin Role',
        bed.cluster.id
      )
      await expectRotated(bed)
      expect(bed.azure.requests.some(({ path }) => path.endsWith('/listClusterAdminCredential'))).toBe(true)
    })
  })

  test('by a kubeconfig that was passed: AKS is not asked for one', async () => {
    await withBed({}, async (bed) => {
      const kubeconfig = kubeconfigOfAdministrator(bed.controlPlane)
      await expectRotated(bed, { kubeconfig })
      expect(bed.azure.requests.filter(({ path }) => path.includes('Credential'))).toEqual([])
    })
  })
})

describe('tokens', () => {
  test('of minutes do for a run of any length: every exchange has an ID token of its own', async () => {
    await withBed({}, async (bed) => {
      // Below five minutes before its expiry a token is not used any more: each request asks for a new one.
      bed.azure.entra.setAccessTokenLifetime(200)
      await expectRotated(bed)
      const assertions = bed.azure.entra.exchanges.map(({ assertion }) => assertion)
      expect(assertions.length).toBeGreaterThan(20)
      expect(new Set(assertions).size).toBe(assertions.length)
    })
  })

  test('of an hour are asked for once a resource', async () => {
    await withBed({}, async (bed) => {
      await expectRotated(bed)
      expect(bed.azure.entra.exchanges).toHaveLength(3)
    })
  })
})

describe('the record and the lock', () => {
  const namespace = 'platform-team'

  test('can be kept in another namespace', async () => {
    await withBed({}, async (bed) => {
      await bed.controlPlane.request('POST', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace }
      })
      await expectRotated(bed, { 'record-namespace': namespace })
      expect(await recordOf(bed)).toBeUndefined()
      const record = await bed.controlPlane.request(
        'GET',
        `/api/v1/namespaces/${namespace}/configmaps/kms-etcd-encryption`
      )
      expect(record.status).toBe(200)
    })
  })

  test('in a namespace that is not there: refused before anything is changed', async () => {
    await withBed({}, async (bed) => {
      expectRed(await bed.run('rotate', { 'record-namespace': namespace }), 'input-invalid')
      expect(bed.azure.writes).toEqual([])
    })
  })
})
