import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, recordOf } from './expectations.ts'

const seeds = demoSecrets({ secrets: 20, namespaces: 3 })
const CLUSTER = /managedClusters\/[^/]+$/

let bed: Bed<EmbeddedControlPlane>

beforeAll(async () => {
  bed = await startEmbeddedBed({ timeScale: 0.001, unborn: true, secrets: seeds })
})
afterAll(async () => {
  await bed.stop()
})

/** As somebody keeps it in a repository: nothing but what they care for. */
const definition = {
  location: 'westeurope',
  sku: { name: 'Base', tier: 'Standard' },
  tags: { owner: 'platform' },
  properties: {
    dnsPrefix: 'fresh',
    agentPoolProfiles: [{ name: 'system', mode: 'System', count: 3, vmSize: 'Standard_D4ds_v5' }],
    aadProfile: { managed: true, enableAzureRBAC: true },
    securityProfile: { imageCleaner: { enabled: true, intervalHours: 48 } }
  }
}

function inputs(more: Inputs = {}): Inputs {
  const body = structuredClone(definition)
  Object.assign(body.properties.aadProfile, { tenantID: bed.azure.tenantId })
  return {
    'key-id': bed.keyIds()[0] ?? '',
    'identity-resource-id': bed.identity?.id ?? '',
    'cluster-definition': JSON.stringify(body),
    ...more
  }
}

/** Red with the code, and nothing was written to Azure. */
async function expectRefused(code: Parameters<typeof expectRed>[1], more: Inputs): Promise<string> {
  const writes = bed.azure.writes.length
  const report = expectRed(await bed.run('create', inputs(more)), code)
  expect(bed.azure.writes.slice(writes)).toEqual([])
  return report.sentence
}

describe('before anything is created', () => {
  test('a definition that is none, or in a file that is not there, is refused', async () => {
    expect(await expectRefused('cluster-definition-invalid', { 'cluster-definition': '{}' })).toContain('`properties`')
    const sentence = await expectRefused('cluster-definition-invalid', { 'cluster-definition': 'no/such.json' })
    expect(sentence).toContain('no/such.json')
  })

  test('a key that can’t be used is refused', async () => {
    const { id } = await bed.vault.addKey('disabled', { enabled: false })
    await expectRefused('key-disabled', { 'key-id': id })
  })

  test('a resource group or a subscription that is not there is no cluster that is not there', async () => {
    const { permissions, application, subscriptionId } = bed.azure
    permissions.grant(application.objectId, 'Reader', `/subscriptions/${subscriptionId}`)
    await expectRefused('resource-group-not-found', { 'resource-group': 'elsewhere' })
    await expectRefused('subscription-not-found', { 'subscription-id': '99999999-9999-4999-8999-999999999999' })
  })

  test('an identity that may not use the key is refused, and a Private vault without API Server VNet Integration', async () => {
    const { permissions } = bed.azure
    const principal = bed.identity?.objectId ?? ''
    permissions.revoke(principal, 'Key Vault Crypto User', bed.vault.id)
    await expectRefused('key-permission-missing', {})
    permissions.grant(principal, 'Key Vault Crypto User', bed.vault.id)
    await expectRefused('vnet-integration-missing', {
      'key-vault-network-access': 'Private',
      'key-vault-resource-id': bed.vault.id
    })
  })

  test('what AKS rejects is translated, and nothing is there', async () => {
    bed.azure.disturb({
      method: 'PUT',
      url: CLUSTER,
      reply: { status: 400, body: { code: 'BadRequest', message: 'The VM size is not allowed.', subcode: '' } }
    })
    const report = expectRed(await bed.run('create', inputs()), 'cluster-update-rejected')
    expect(report.sentence).toContain('Could not create the cluster')
    expect(report.sentence).toContain('The VM size is not allowed.')
    expect(report.changed).toBe(false)
    expect(bed.azure.clusters).toEqual([])
  })

  test('a dry run shows it and creates nothing', async () => {
    const writes = bed.azure.writes.length
    const withPassword = (inputs()['cluster-definition'] ?? '').replace(
      '"dnsPrefix"',
      '"windowsProfile":{"adminUsername":"azure","adminPassword":"canary-1234"},"dnsPrefix"'
    )
    const result = await bed.run('create', inputs({ 'dry-run': 'true', 'cluster-definition': withPassword }))
    const shown = [result.log, result.summary, result.report, JSON.stringify(result.outputs)].join('\n')
    expect(shown).not.toContain('canary')
    const report = expectGreen(result)
    expect(report.plan?.steps.map(({ kind }) => kind)).toEqual(['create-cluster', 'prove-secrets'])
    expect(report.plan?.steps[0]?.title).toContain('Create the cluster')
    expect(bed.azure.writes).toHaveLength(writes)
    expect(bed.azure.clusters).toEqual([])
    // Another definition is another plan.
    const changed = withPassword.replace('"count":3', '"count":5')
    const again = await bed.run('create', inputs({ 'dry-run': 'true', 'cluster-definition': changed }))
    expect(again.outputs['plan-hash']).not.toBe(result.outputs['plan-hash'])
  })
})

describe('a cluster', () => {
  test('whose creation is killed after AKS took it, and whose answer got lost on the way, is created once', async () => {
    const kill = new AbortController()
    const writes = bed.azure.writes.length
    bed.azure.disturb({ method: 'PUT', url: CLUSTER, loseAnswer: true })
    bed.azure.disturb({
      method: 'GET',
      url: CLUSTER,
      times: 3,
      meanwhile: () => {
        if (bed.azure.clusters.length > 0) kill.abort()
      }
    })
    await bed.run('create', inputs(), { kill: kill.signal })
    expect(kill.signal.aborted).toBe(true)

    const directory = await mkdtemp(join(tmpdir(), 'create-'))
    const path = join(directory, 'cluster.json')
    const text = inputs()['cluster-definition'] ?? ''
    await writeFile(path, text)
    const [keyId = ''] = bed.keyIds()
    const result = await bed.run('create', inputs({ 'cluster-definition': path }))
    const report = expectGreen(result)
    expect(report.proved).toBe(true)
    expect(bed.azure.clusters).toHaveLength(1)
    expect(bed.azure.writes.slice(writes)).toHaveLength(1)
    await expectStored(bed, seeds, keyId)
    expect(await recordOf(bed)).toMatchObject({ provedKeyId: keyId })
    expect(bed.cluster.body).toMatchObject({
      tags: definition.tags,
      identity: { type: 'UserAssigned' },
      properties: {
        securityProfile: {
          imageCleaner: { enabled: true, intervalHours: 48 },
          azureKeyVaultKms: { enabled: true, keyId, keyVaultNetworkAccess: 'Public' }
        }
      }
    })
  })

  test('that is there with another key is refused', async () => {
    await expectRefused('cluster-exists', { 'key-id': await bed.addKeyVersion() })
  })
})

/** Of another bed, whose cluster this definition is of. */
function inputsOn({ azure, identity, keyIds }: Bed): Inputs {
  const definition = inputs()['cluster-definition'] ?? ''
  return {
    'key-id': keyIds()[0] ?? '',
    'identity-resource-id': identity?.id ?? '',
    'cluster-definition': definition.replace(bed.azure.tenantId, azure.tenantId)
  }
}

test('a private cluster that this runner can’t reach is created, and not proved, and the way out is named', async () => {
  const fresh = await startEmbeddedBed({ timeScale: 0.001, unborn: true, secrets: seeds })
  try {
    const wanted = inputsOn(fresh)
    const definition = JSON.parse(wanted['cluster-definition'] ?? '') as { properties: Record<string, unknown> }
    definition.properties['apiServerAccessProfile'] = { enablePrivateCluster: true }
    fresh.azure.disturb({
      method: 'POST',
      url: /listClusterUserCredential/,
      meanwhile() {
        fresh.controlPlane.faults.inject({ kind: 'reset', carriedOut: false }, { times: Infinity })
      }
    })
    const result = await fresh.run('create', { ...wanted, 'cluster-definition': JSON.stringify(definition) })
    const report = expectRed(result, 'api-server-private')
    expect(report).toMatchObject({ result: 'failed', changed: true, proved: false })
    expect(report.steps.map(({ kind }) => kind)).toEqual(['create-cluster'])
    expect(result.summary).toContain('the cluster was created, but')
  } finally {
    await fresh.stop()
  }
})

test('creates, tells what it did, and what is there now', async () => {
  const fresh = await startEmbeddedBed({ timeScale: 0.001, unborn: true, secrets: seeds })
  try {
    const wanted = inputsOn(fresh)
    const keyId = wanted['key-id'] ?? ''
    const result = await fresh.run('create', wanted)
    const report = expectGreen(result)
    await expectStored(fresh, seeds, keyId)
    expect(result.outputs).toMatchObject({
      changed: 'true',
      proved: 'true',
      'key-id-before': '',
      'key-id-after': keyId
    })
    expect(report.steps.map(({ kind }) => kind)).toEqual(['create-cluster', 'prove-secrets'])
    expect(report.keys.map(({ state }) => state)).toEqual(['current'])
    expect(report.cluster).toContain('/managedClusters/')
  } finally {
    await fresh.stop()
  }
})
