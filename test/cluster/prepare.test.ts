import { describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import { tallyStored } from '../../testbed/etcd/tally.ts'
import { compareContents, demoSecrets } from '../../testbed/seed.ts'
import { expectGreen } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 30, namespaces: 3 })

type Mode = 'Public' | 'Private'

/** Makes a vault and its key, and the identity where it is not there; gives the outputs as the next step’s inputs. */
async function prepare(bed: Bed, mode: Mode, identityId: string, states: readonly string[]): Promise<Inputs> {
  const { subscriptionId, resourceGroup } = bed.azure
  const vaultId = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.KeyVault/vaults/kv-${mode.toLowerCase()}`
  const result = await bed.run('prepare', {
    'resource-group': '',
    'cluster-name': '',
    'key-vault-resource-id': vaultId,
    'identity-resource-id': identityId,
    'key-vault-network-access': mode
  })
  expect(expectGreen(result).resources.map(({ kind, state }) => `${kind} ${state}`)).toEqual(states)
  const of = (name: string): string => result.outputs[name] ?? ''
  return {
    'key-id': of('key-id'),
    ...(mode === 'Private' && {
      'key-vault-network-access': mode,
      'key-vault-resource-id': of('key-vault-resource-id')
    })
  }
}

async function expectUnder(bed: Bed, keyId: string): Promise<void> {
  const stored = await bed.controlPlane.storedSecrets()
  expect(Object.keys(tallyStored(stored, [keyId]))).toEqual([expect.stringContaining(keyId)])
  expect(stored).toHaveLength(seeds.length)
  expect(await compareContents(bed.controlPlane, seeds)).toEqual([])
}

describe.each(['Public', 'Private'] as const)('with what prepare has made, a %s vault,', (mode) => {
  const approval = mode === 'Private' ? ['approve-private-endpoint made'] : []

  test('a cluster that is there is enabled', async () => {
    const bed = await startRealBed({ timeScale: 0.001, secrets: seeds })
    try {
      bed.azure.permitPreparer()
      const { id } = bed.azure.identityOf(bed.cluster)
      const states = ['vault made', 'key made', 'identity was-there', 'use-key made', ...approval]
      const inputs = await prepare(bed, mode, id, states)
      const enabled = await bed.run('enable', inputs)
      expectGreen(enabled)
      expect(enabled.outputs).toMatchObject({ proved: 'true', 'key-id-after': inputs['key-id'] })
      await expectUnder(bed, inputs['key-id'] ?? '')
    } finally {
      await bed.stop()
    }
  })

  test('a new cluster is created', async () => {
    const bed = await startRealBed({ timeScale: 0.001, unborn: true, secrets: seeds })
    try {
      const { azure } = bed
      azure.permitPreparer()
      const group = `/subscriptions/${azure.subscriptionId}/resourceGroups/${azure.resourceGroup}`
      const identityId = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-fresh`
      const states = ['vault made', 'key made', 'identity made', 'use-key made', ...approval]
      const inputs = await prepare(bed, mode, identityId, states)
      const definition = {
        location: 'westeurope',
        properties: {
          agentPoolProfiles: [{ name: 'system', mode: 'System', count: 3 }],
          aadProfile: { managed: true, enableAzureRBAC: true, tenantID: azure.tenantId },
          apiServerAccessProfile: { enableVnetIntegration: mode === 'Private' }
        }
      }
      azure.permissions.grant(azure.application.objectId, 'Managed Identity Operator', identityId)
      const created = await bed.run('create', {
        ...inputs,
        'identity-resource-id': identityId,
        'cluster-definition': JSON.stringify(definition)
      })
      expectGreen(created)
      expect(created.outputs).toMatchObject({ proved: 'true', 'secrets-re-encrypted': '0' })
      await expectUnder(bed, inputs['key-id'] ?? '')
    } finally {
      await bed.stop()
    }
  })
})
