import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed, type Inputs, type VaultKind } from '../../testbed/bed.ts'
import { tallyStored } from '../../testbed/etcd/tally.ts'
import { compareContents, demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectStored, recordOf, LOCK } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 100, namespaces: 4 })

describe.each<[string, VaultKind]>([
  ['Public', {}],
  ['Public, with access policies', { rbac: false }],
  ['Private', { private: true }]
])('a cluster born with a vault that is %s', (_name, kind) => {
  const mode = kind.private === true ? 'Private' : 'Public'

  test('never has a Secret without a key', async () => {
    const bed = await startRealBed({
      timeScale: 0.001,
      unborn: true,
      secrets: seeds,
      vault: kind
    })
    try {
      const [keyId = ''] = bed.keyIds()
      const definition = {
        location: 'westeurope',
        properties: {
          agentPoolProfiles: [{ name: 'system', mode: 'System', count: 3 }],
          aadProfile: { managed: true, enableAzureRBAC: true, tenantID: bed.azure.tenantId },
          ...(mode === 'Private' && { apiServerAccessProfile: { enableVnetIntegration: true } })
        }
      }
      const result = await bed.run('create', {
        'key-id': keyId,
        'identity-resource-id': bed.identity?.id ?? '',
        'cluster-definition': JSON.stringify(definition),
        'key-vault-network-access': mode,
        ...(mode === 'Private' && { 'key-vault-resource-id': bed.vault.id })
      })
      expectGreen(result)
      expect(result.outputs).toMatchObject({
        changed: 'true',
        proved: 'true',
        'secrets-total': String(seeds.length),
        'secrets-re-encrypted': '0'
      })
      await expectStored(bed, seeds, keyId)
      expect(bed.cluster.encryption[0]).toMatchObject({ kind: 'kms', keyId })
      expect(await recordOf(bed)).toMatchObject({ provedKeyId: keyId })
    } finally {
      await bed.stop()
    }
  })
})

describe.each<[string, VaultKind, number]>([
  ['Azure RBAC, two real API servers', { rbac: true }, 2],
  ['access policies, one real API server', { rbac: false }, 1]
])('a vault with %s', (_name, kind, apiServers) => {
  let bed: Bed

  beforeAll(async () => {
    bed = await startRealBed({ kms: true, timeScale: 0.001, apiServers, vault: kind, secrets: seeds })
    bed.azure.permissions.grant(bed.azure.application.objectId, 'Key Vault Contributor', bed.vault.id)
  })
  afterAll(async () => {
    await bed.stop()
  })

  const toPrivate = (): Inputs => ({
    'key-vault-network-access': 'Private',
    'key-vault-resource-id': bed.vault.id
  })

  test('change-vault-mode to Private, killed when the vault is closed and run again', async () => {
    const [keyId = ''] = bed.keyIds()
    const kill = new AbortController()
    bed.azure.disturb({ method: 'PATCH', url: /vaults\/[^/]+$/, loseAnswer: true, meanwhile: () => kill.abort() })
    await bed.run('change-vault-mode', toPrivate(), { kill: kill.signal })
    await bed.controlPlane.request('DELETE', LOCK)
    await expectStored(bed, seeds, 'identity')
    expect(bed.vault.properties['publicNetworkAccess']).toBe('Disabled')

    expectGreen(await bed.run('change-vault-mode', toPrivate()))
    await expectStored(bed, seeds, keyId)
    // API servers that are started anew have none of its keys in memory, and reach the closed vault by the private endpoint alone.
    await bed.controlPlane.roll(bed.cluster.encryption)
    await expectStored(bed, seeds, keyId)
  })

  test('change-vault-mode back to Public', async () => {
    const [keyId = ''] = bed.keyIds()
    expectGreen(await bed.run('change-vault-mode', { 'key-vault-network-access': 'Public' }))
    await expectStored(bed, seeds, keyId)
    // From now on by public networks alone.
    bed.vault.setProperties({ privateEndpointConnections: [] })
    await bed.controlPlane.roll(bed.cluster.encryption)
    await expectStored(bed, seeds, keyId)
  })

  test('rotate to another vault with the other mode, and back, without ever switching KMS off', async () => {
    const [first = ''] = bed.keyIds()
    const other = bed.azure.addVault({
      ...kind,
      properties: { enablePurgeProtection: true, publicNetworkAccess: 'Disabled' }
    })
    bed.azure.permitOperator(bed.cluster, other)
    bed.azure.permitKms(bed.cluster, other)
    const { id: keyId } = await other.addKey('etcd')
    const writes = bed.azure.writes.length
    const inputs = {
      'key-id': keyId,
      'key-vault-network-access': 'Private',
      'key-vault-resource-id': other.id
    }
    expectGreen(await bed.run('rotate', inputs))
    expect(Object.keys(tallyStored(await bed.controlPlane.storedSecrets(), [first, keyId]))).toEqual([
      expect.stringContaining(keyId)
    ])
    expect(await recordOf(bed)).toMatchObject({ provedKeyId: keyId, previousKeyId: first })

    expectGreen(await bed.run('rotate', { 'key-id': first, 'key-vault-network-access': 'Public' }))
    await expectStored(bed, seeds, first)
    expect(await compareContents(bed.controlPlane, seeds)).toEqual([])
    expect(bed.azure.writes.slice(writes)).toHaveLength(2)
  })
})
