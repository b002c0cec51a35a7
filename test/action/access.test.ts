import { describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed, type BedOptions } from '../../testbed/bed.ts'
import { AIR_GAPPED_CLOUD, CHINA_CLOUD, US_GOVERNMENT_CLOUD } from '../../testbed/azure/clouds.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, recordOf } from './expectations.ts'

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
  test('Azure Government', async () => {
    await withBed({ cloud: US_GOVERNMENT_CLOUD }, (bed) => expectRotated(bed, { 'azure-cloud': 'AzureUSGovernment' }))
  })

  test('Azure in China', async () => {
    await withBed({ cloud: CHINA_CLOUD }, (bed) => expectRotated(bed, { 'azure-cloud': 'AzureChinaCloud' }))
  })

  test('an air-gapped cloud, by its endpoints', async () => {
    const cloud = AIR_GAPPED_CLOUD
    await withBed({ cloud }, (bed) =>
      expectRotated(bed, {
        'azure-cloud': JSON.stringify({
          authority: `https://${cloud.authorityHost}`,
          resourceManager: `https://${cloud.resourceManagerHost}`,
          vaultSuffix: cloud.vaultSuffix,
          audience: cloud.assertionAudience
        })
      })
    )
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

  test('of a cluster without Entra and without local accounts: refused with the way out', async () => {
    await withBed({ cluster: { aad: false, disableLocalAccounts: true } }, async (bed) => {
      bed.azure.permissions.grant(
        bed.azure.application.objectId,
        'Azure Kubernetes Service Cluster Admin Role',
        bed.cluster.id
      )
      expectRed(await bed.run('rotate'), 'local-accounts-disabled')
      expect(bed.azure.writes).toEqual([])
    })
  })

  test('by a kubeconfig that was passed: AKS is not asked for one', async () => {
    await withBed({}, async (bed) => {
      const { server, certificateAuthority, adminCertificate } = bed.controlPlane
      const base64 = (text: string): string => Buffer.from(text).toString('base64')
      const kubeconfig = `
apiVersion: v1
kind: Config
current-context: bed
contexts: [{name: bed, context: {cluster: bed, user: admin}}]
clusters: [{name: bed, cluster: {server: "${server}", certificate-authority-data: ${base64(certificateAuthority)}}}]
users: [{name: admin, user: {client-certificate-data: ${base64(adminCertificate.certificate)}, client-key-data: ${base64(adminCertificate.key)}}}]
`
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
