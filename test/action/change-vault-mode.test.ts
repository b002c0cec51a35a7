import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, recordOf, LOCK } from './expectations.ts'

const seeds = demoSecrets({ secrets: 20, namespaces: 3 })
const CLUSTER = /managedClusters\/[^/]+$/
const VAULT = /providers\/Microsoft\.KeyVault\/vaults\/[^/]+$/

let bed: Bed<EmbeddedControlPlane>

beforeAll(async () => {
  bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
  bed.azure.permissions.grant(bed.azure.application.objectId, 'Key Vault Contributor', bed.vault.id)
})
afterAll(async () => {
  await bed.stop()
})

function toPrivate(more: Inputs = {}): Inputs {
  return { 'key-vault-network-access': 'Private', 'key-vault-resource-id': bed.vault.id, ...more }
}
const toPublic: Inputs = { 'key-vault-network-access': 'Public' }

/** What Azure was asked to change since, in short. */
function changesSince(writes: number): readonly string[] {
  return bed.azure.writes.slice(writes).map(({ method, body }) => {
    const properties = (body as { readonly properties: Record<string, unknown> }).properties
    if (method === 'PATCH') return `vault ${String(properties['publicNetworkAccess'])}`
    const profile = properties['securityProfile'] as { readonly azureKeyVaultKms: Record<string, unknown> }
    const { enabled, keyVaultNetworkAccess } = profile.azureKeyVaultKms
    return enabled === true ? `on ${String(keyVaultNetworkAccess)}` : 'off'
  })
}

/** Attached in this mode under the one key version, with the vault open or closed accordingly, and proved. */
async function expectMode(mode: 'Public' | 'Private'): Promise<void> {
  const [keyId = ''] = bed.keyIds()
  expect(bed.cluster.body).toMatchObject({
    properties: {
      provisioningState: 'Succeeded',
      securityProfile: {
        azureKeyVaultKms: {
          enabled: true,
          keyId,
          keyVaultNetworkAccess: mode,
          keyVaultResourceId: mode === 'Private' ? bed.vault.id : ''
        }
      }
    }
  })
  expect(bed.vault.properties['publicNetworkAccess']).toBe(mode === 'Private' ? 'Disabled' : 'Enabled')
  await expectStored(bed, seeds, keyId)
  expect(await recordOf(bed)).toMatchObject({ provedKeyId: keyId })
  expect(await recordOf(bed)).not.toHaveProperty('goal')
}

describe('refused before anything is changed', () => {
  async function expectRefused(code: Parameters<typeof expectRed>[1], inputs: Inputs): Promise<string> {
    const writes = bed.azure.writes.length
    const report = expectRed(await bed.run('change-vault-mode', inputs), code)
    expect(report.result).toBe('refused')
    expect(changesSince(writes)).toEqual([])
    expect(report.proofs).toEqual([])
    return report.sentence
  }

  test('to Private without the permission to close the vault', async () => {
    const { permissions, application } = bed.azure
    permissions.revoke(application.objectId, 'Key Vault Contributor', bed.vault.id)
    await expectRefused('authorization-failed', toPrivate())
    permissions.grant(application.objectId, 'Key Vault Contributor', bed.vault.id)
  })

  test('to Private without API Server VNet Integration', async () => {
    const before = bed.cluster.body
    bed.cluster.change((body) => ({
      ...body,
      properties: { ...(body['properties'] as object), apiServerAccessProfile: {} }
    }))
    await expectRefused('vnet-integration-missing', toPrivate())
    bed.cluster.change(() => before)
  })

  test('to Private with an identity that may not approve the private endpoint', async () => {
    const identity = bed.azure.identityOf(bed.cluster)
    const { permissions, application } = bed.azure
    permissions.grant(application.objectId, 'User Access Administrator', bed.vault.id)
    permissions.revoke(identity.objectId, 'Key Vault Contributor', bed.vault.id)
    await expectRefused('private-endpoint-approval-missing', toPrivate())
    permissions.grant(identity.objectId, 'Key Vault Contributor', bed.vault.id)
    permissions.revoke(application.objectId, 'User Access Administrator', bed.vault.id)
  })

  test('to Private while another cluster uses the vault as Public', async () => {
    const { permissions, application, subscriptionId } = bed.azure
    const subscription = `/subscriptions/${subscriptionId}`
    const kms = { enabled: true, keyId: bed.keyIds()[0] ?? '', keyVaultNetworkAccess: 'Public' }
    const neighbour = bed.azure.addCluster({ name: 'neighbour', kms })
    permissions.grant(application.objectId, 'Reader', subscription)
    const sentence = await expectRefused('vault-used-by-others', toPrivate())
    expect(sentence).toContain('neighbour (resource group platform)')
    permissions.revoke(application.objectId, 'Reader', subscription)
    bed.azure.removeCluster(neighbour)
  })

  test('with `enable` in the other mode, which says what to use', async () => {
    const inputs = toPrivate({ 'key-id': bed.keyIds()[0] ?? '' })
    const report = expectRed(await bed.run('enable', inputs), 'vault-mode-differs')
    expect(report.error?.fix).toContain('`change-vault-mode`')
  })
})

test('a dry run shows the whole way, and that others are affected', async () => {
  const writes = bed.azure.writes.length
  const report = expectGreen(await bed.run('change-vault-mode', toPrivate({ 'dry-run': 'true' })))
  expect(report.plan?.steps.map(({ kind }) => kind)).toEqual([
    'record-goal',
    'prove-secrets',
    'set-kms-profile',
    'prove-secrets',
    'set-vault-network-access',
    'set-kms-profile',
    'prove-secrets'
  ])
  expect(report.plan?.steps[4]?.title).toMatch(/Close the vault .* everybody else who uses it/)
  expect(changesSince(writes)).toEqual([])
})

test('to Private: off, the vault closed, on', async () => {
  const writes = bed.azure.writes.length
  const result = await bed.run('change-vault-mode', toPrivate())
  const report = expectGreen(result)
  expect(changesSince(writes)).toEqual(['off', 'vault Disabled', 'on Private'])
  expect(report.proofs.map(({ when, counts }) => [when, counts.reEncrypted])).toEqual([
    ['before-change', 0],
    ['after-change', seeds.length],
    ['after-change', seeds.length]
  ])
  expect(result.outputs).toMatchObject({ changed: 'true', proved: 'true' })
  expect(report.keys.map(({ state }) => state)).toEqual(['current'])
  await expectMode('Private')
})

test('in that mode already: proves, and changes nothing', async () => {
  const writes = bed.azure.writes.length
  const report = expectGreen(await bed.run('change-vault-mode', toPrivate()))
  expect(report.sentence).toContain('already')
  expect(report).toMatchObject({ changed: false, proved: true })
  expect(changesSince(writes)).toEqual([])
})

test('back to Public: off, the vault opened, on', async () => {
  const writes = bed.azure.writes.length
  expectGreen(await bed.run('change-vault-mode', toPublic))
  expect(changesSince(writes)).toEqual(['off', 'vault Enabled', 'on Public'])
  await expectMode('Public')
})

describe('killed, and run again', () => {
  async function killed(inputs: Inputs, on: Parameters<typeof bed.azure.disturb>[0]): Promise<void> {
    const kill = new AbortController()
    bed.azure.disturb({ ...on, meanwhile: () => kill.abort() })
    await expect(bed.run('change-vault-mode', inputs, { kill: kill.signal })).resolves.toMatchObject({ exitCode: null })
    // The lease of a lost run expires in a minute, which is not waited for here.
    await bed.controlPlane.request('DELETE', LOCK)
  }

  test('while KMS is switched off', async () => {
    await killed(toPrivate(), { method: 'PUT', url: CLUSTER })
    const report = expectGreen(await bed.run('change-vault-mode', toPrivate()))
    expect(report.sentence).toMatch(/^Finished what was interrupted/)
    await expectMode('Private')
  })

  test('while the vault is opened, and a second time while KMS is switched on', async () => {
    await killed(toPublic, { method: 'PATCH', url: VAULT, loseAnswer: true })
    // Nobody else’s operation takes the cluster for its own in between.
    expectRed(await bed.run('rotate'), 'kms-off')
    await killed(toPublic, { method: 'PUT', url: CLUSTER, loseAnswer: true })
    const writes = bed.azure.writes.length
    expectGreen(await bed.run('change-vault-mode', toPublic))
    expect(changesSince(writes)).toEqual([])
    await expectMode('Public')
  })
})

test('what fails while KMS is off is told, and run again it goes on', async () => {
  bed.azure.disturb({
    method: 'PATCH',
    url: VAULT,
    reply: { status: 403, body: { error: { code: 'RequestDisallowedByPolicy', message: 'Denied by a policy.' } } }
  })
  const report = expectRed(await bed.run('change-vault-mode', toPrivate()), 'azure-request-failed')
  expect(report.sentence).toContain('Denied by a policy')
  expect(report.after?.kms.enabled).toBe(false)
  expectGreen(await bed.run('change-vault-mode', toPrivate()))
  await expectMode('Private')
})

test('to another vault in another mode `rotate` goes directly', async () => {
  const other = bed.azure.addVault({ properties: { enablePurgeProtection: true } })
  bed.azure.permitOperator(bed.cluster, other)
  bed.azure.permitKms(bed.cluster, other)
  const { id: keyId } = await other.addKey('etcd')
  const writes = bed.azure.writes.length
  expectGreen(await bed.run('rotate', { 'key-id': keyId, 'key-vault-network-access': 'Public' }))
  expect(changesSince(writes)).toEqual(['on Public'])
  expect(await recordOf(bed)).toMatchObject({ provedKeyId: keyId, previousKeyId: bed.keyIds()[0] })
})
