import { describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import { tallyStored } from '../../testbed/etcd/tally.ts'
import { compareContents, demoSecrets } from '../../testbed/seed.ts'
import { expectGreen } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 30, namespaces: 3 })

interface Wanted {
  readonly mode: 'Public' | 'Private'
  /** The vault is there, with access policies in place of Azure RBAC; else it is made. */
  readonly isThere: boolean
}

/** Prepares vault, key and identity; gives the outputs as the next step’s inputs. */
async function prepare(bed: Bed, { mode, isThere }: Wanted, identity: { id: string; state: string }): Promise<Inputs> {
  const { azure } = bed
  azure.permitPreparer()
  const name = `kv-prepared-${azure.subscriptionId.slice(0, 8)}`
  if (isThere) {
    const vault = azure.addVault({ name, rbac: false, properties: { enablePurgeProtection: true } })
    azure.permitOperator({ id: groupOf(bed), body: {} }, vault)
  }
  const result = await bed.run('prepare', {
    'resource-group': '',
    'cluster-name': '',
    'key-vault-resource-id': `${groupOf(bed)}/providers/Microsoft.KeyVault/vaults/${name}`,
    'identity-resource-id': identity.id,
    'key-vault-network-access': mode
  })
  expect(expectGreen(result).resources.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    isThere ? 'vault differs' : 'vault made',
    'key made',
    `identity ${identity.state}`,
    'use-key made',
    ...(mode === 'Private' ? ['approve-private-endpoint made'] : [])
  ])
  const of = (output: string): string => result.outputs[output] ?? ''
  return {
    'key-id': of('key-id'),
    ...(mode === 'Private' && {
      'key-vault-network-access': mode,
      'key-vault-resource-id': of('key-vault-resource-id')
    })
  }
}

function groupOf({ azure }: Bed): string {
  return `/subscriptions/${azure.subscriptionId}/resourceGroups/${azure.resourceGroup}`
}

async function expectUnder(bed: Bed, keyId: string | undefined): Promise<void> {
  const stored = await bed.controlPlane.storedSecrets()
  expect(Object.keys(tallyStored(stored, [keyId ?? '']))).toEqual([expect.stringContaining(keyId ?? 'no key')])
  expect(stored).toHaveLength(seeds.length)
  expect(await compareContents(bed.controlPlane, seeds)).toEqual([])
}

describe.each<[string, Wanted]>([
  ['a Public vault', { mode: 'Public', isThere: false }],
  ['a Public vault with access policies that was there', { mode: 'Public', isThere: true }],
  ['a Private vault', { mode: 'Private', isThere: false }]
])('with what prepare has made, %s,', (_name, wanted) => {
  test('a cluster that is there is enabled', async () => {
    const bed = await startRealBed({ timeScale: 0.001, secrets: seeds })
    try {
      const { id } = bed.azure.identityOf(bed.cluster)
      const inputs = await prepare(bed, wanted, { id, state: 'was-there' })
      const enabled = await bed.run('enable', inputs)
      expectGreen(enabled)
      expect(enabled.outputs).toMatchObject({ proved: 'true', 'key-id-after': inputs['key-id'] })
      await expectUnder(bed, inputs['key-id'])
    } finally {
      await bed.stop()
    }
  })

  test('a new cluster is created', async () => {
    const bed = await startRealBed({ timeScale: 0.001, unborn: true, secrets: seeds })
    try {
      const { azure } = bed
      const id = `${groupOf(bed)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-fresh`
      const inputs = await prepare(bed, wanted, { id, state: 'made' })
      azure.permissions.grant(azure.application.objectId, 'Managed Identity Operator', id)
      const definition = {
        location: 'westeurope',
        properties: {
          agentPoolProfiles: [{ name: 'system', mode: 'System', count: 3 }],
          aadProfile: { managed: true, enableAzureRBAC: true, tenantID: azure.tenantId },
          apiServerAccessProfile: { enableVnetIntegration: wanted.mode === 'Private' }
        }
      }
      const created = await bed.run('create', {
        ...inputs,
        'identity-resource-id': id,
        'cluster-definition': JSON.stringify(definition)
      })
      expectGreen(created)
      expect(created.outputs).toMatchObject({ proved: 'true', 'secrets-re-encrypted': '0' })
      await expectUnder(bed, inputs['key-id'])
    } finally {
      await bed.stop()
    }
  })
})
