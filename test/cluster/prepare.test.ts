import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import { tallyStored } from '../../testbed/etcd/tally.ts'
import { compareContents, demoSecrets } from '../../testbed/seed.ts'
import { expectGreen } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 30, namespaces: 3 })

describe('a cluster encrypts with what prepare has made', () => {
  let bed: Bed<RealControlPlane>

  beforeAll(async () => {
    bed = await startRealBed({ timeScale: 0.001, apiServers: 1, secrets: seeds })
    bed.azure.permitPreparer()
  })
  afterAll(async () => {
    await bed.stop()
  })

  /** Makes a vault, its key and the permissions for the cluster's identity, and gives the outputs to `enable`. */
  async function prepareAndEnable(networkAccess: 'Public' | 'Private'): Promise<void> {
    const { subscriptionId, resourceGroup } = bed.azure
    const vaultId = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.KeyVault/vaults/kv-${networkAccess.toLowerCase()}`
    const prepared = await bed.run('prepare', {
      'resource-group': '',
      'cluster-name': '',
      'key-vault-resource-id': vaultId,
      'identity-resource-id': bed.azure.identityOf(bed.cluster).id,
      'key-vault-network-access': networkAccess
    })
    const report = expectGreen(prepared)
    expect(report.resources.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      'vault made',
      'key made',
      'identity was-there',
      'use-key made',
      ...(networkAccess === 'Private' ? ['approve-private-endpoint made'] : [])
    ])

    const keyId = prepared.outputs['key-id'] ?? ''
    const attach =
      networkAccess === 'Private'
        ? {
            'key-vault-network-access': 'Private',
            'key-vault-resource-id': prepared.outputs['key-vault-resource-id'] ?? ''
          }
        : {}
    const enabled = await bed.run('enable', { 'key-id': keyId, ...attach })
    expectGreen(enabled)
    expect(enabled.outputs).toMatchObject({ proved: 'true', 'key-id-after': keyId })
    const stored = await bed.controlPlane.storedSecrets()
    expect(Object.keys(tallyStored(stored, [keyId]))).toEqual([expect.stringContaining(keyId)])
    expect(stored).toHaveLength(seeds.length)
    expect(await compareContents(bed.controlPlane, seeds)).toEqual([])
  }

  test('in a public vault', async () => {
    await prepareAndEnable('Public')
  })

  test('and in a private one', async () => {
    expectGreen(await bed.run('disable'))
    await prepareAndEnable('Private')
  })
})
