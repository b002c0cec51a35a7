import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { armFault } from '../../testbed/azure/resource-manager.ts'
import { listAt, replaceAt } from '../../testbed/azure/json.ts'
import { epoch } from '../../testbed/azure/key-versions.ts'
import { startEmbeddedBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRefused, expectStored, readable } from './expectations.ts'

const seeds = demoSecrets({ secrets: 10, namespaces: 2 })

/** KMS is off on the one, and on with a Private vault on the other. */
let off: Bed<EmbeddedControlPlane>
let closed: Bed<EmbeddedControlPlane>

beforeAll(async () => {
  const common = { timeScale: 0.001, secrets: seeds }
  ;[off, closed] = await Promise.all([
    startEmbeddedBed(common),
    startEmbeddedBed({ ...common, kms: true, vault: { private: true } })
  ])
})
afterAll(async () => {
  await Promise.all([off.stop(), closed.stop()])
})

const key = (): Inputs => ({ 'key-id': off.keyIds()[0] ?? '' })
const privately = (bed: Bed): Inputs => ({
  'key-vault-network-access': 'Private',
  'key-vault-resource-id': bed.vault.id
})

/** A change to the vault for the time of one test. */
async function withVault(properties: Bed['vault']['properties'], body: () => Promise<unknown>): Promise<void> {
  const before = off.vault.properties
  off.vault.setProperties(properties)
  try {
    await body()
  } finally {
    off.vault.properties = before
  }
}

describe('the vault', () => {
  test('is of another tenant', async () => {
    const other = off.azure.entra.addTenant()
    await withVault({ tenantId: other }, async () => {
      expect((await expectRefused(off, 'vault-other-tenant', 'enable', key())).sentence).toContain(other)
    })
    const elsewhere = off.vault.id.replace(off.azure.subscriptionId, off.azure.addSubscription(other))
    await expectRefused(off, 'vault-other-tenant', 'enable', { ...key(), 'key-vault-resource-id': elsewhere })
  })

  test('takes no connections from public networks', async () => {
    await withVault({ publicNetworkAccess: 'Disabled' }, async () => {
      const { error } = await expectRefused(off, 'vault-public-access-disabled', 'enable', key())
      expect(error?.fix).toContain('key-vault-network-access: Private')
    })
  })

  test('has a firewall for selected networks, also where it admits this runner', async () => {
    const networkAcls = { defaultAction: 'Deny', bypass: 'AzureServices', ipRules: [{ value: '20.102.3.4/32' }] }
    await withVault({ networkAcls }, async () => {
      const { findings } = await expectRefused(off, 'vault-selected-networks', 'enable', key())
      expect(findings).toHaveLength(1)
    })
  })

  test('is attached in the other mode', async () => {
    const inputs = { 'key-id': closed.keyIds()[0] ?? '', 'key-vault-network-access': 'Public' }
    await expectRefused(closed, 'vault-mode-differs', 'enable', inputs)
    await expectRefused(closed, 'vault-mode-differs', 'rotate', { 'key-vault-network-access': 'Public' })
  })

  test('can be purged: a warning, in a plan too', async () => {
    await withVault({ enablePurgeProtection: false, enableSoftDelete: false }, async () => {
      const result = await off.run('enable', { ...key(), 'dry-run': 'true' })
      expect(expectGreen(result).findings).toMatchObject([{ severity: 'warning', code: 'purge-protection-missing' }])
      expect(result.annotations).toMatchObject([{ level: 'warning', message: expect.stringContaining('soft delete') }])
    })
  })
})

describe('the cluster', () => {
  const vnetIntegration = ['properties', 'apiServerAccessProfile', 'enableVnetIntegration']

  test('has no API Server VNet Integration for a Private vault', async () => {
    off.cluster.change((body) => replaceAt(body, vnetIntegration, undefined))
    await expectRefused(off, 'vnet-integration-missing', 'enable', { ...key(), ...privately(off) })
    off.cluster.change((body) => replaceAt(body, vnetIntegration, true))
  })

  test('reaches its Private vault over Konnectivity', async () => {
    closed.cluster.change((body) => replaceAt(body, vnetIntegration, undefined))
    await expectRefused(closed, 'private-vault-over-konnectivity', 'rotate', {})
    closed.cluster.change((body) => replaceAt(body, vnetIntegration, true))
  })
})

describe('the key', () => {
  test('expires within the week', async () => {
    const { id } = await off.vault.addKey('brief', { expires: epoch() + 6 * 86_400 })
    await expectRefused(off, 'key-expires-soon', 'enable', { 'key-id': id })
  })

  test('may not be used by the cluster’s identity, which AKS finds out itself for a Public vault only', async () => {
    const { permissions, identityOf } = off.azure
    const { objectId } = identityOf(off.cluster)
    permissions.revoke(objectId, 'Key Vault Crypto User', off.vault.id)
    // Reading, wrapping and unwrapping is not enough.
    permissions.grant(objectId, 'Key Vault Crypto Service Encryption User', off.vault.id)
    for (const mode of [{}, privately(off)]) {
      const { error } = await expectRefused(off, 'key-permission-missing', 'enable', { ...key(), ...mode })
      expect(error?.fix).toContain(`--assignee-object-id ${objectId}`)
    }
    permissions.revoke(objectId, 'Key Vault Crypto Service Encryption User', off.vault.id)
    permissions.grant(objectId, 'Key Vault Crypto User', off.vault.id)
  })

  test('may not be used by the cluster’s identity by any access policy', async () => {
    const accessPolicies = listAt(policyVault().properties, 'accessPolicies')
    for (const mode of [{}, privately(off)]) {
      await withVault({ enableRbacAuthorization: false, accessPolicies }, async () => {
        const { error } = await expectRefused(off, 'key-permission-missing', 'enable', { ...key(), ...mode })
        expect(error?.fix).toContain('az keyvault set-policy')
      })
    }
  })

  test('may be used by the cluster’s identity for all that can be seen: a note', async () => {
    off.azure.disturb({ url: /roleAssignments$/, reply: armFault(403, 'AuthorizationFailed', 'No.') })
    const result = await off.run('enable', { ...key(), 'dry-run': 'true' })
    expect(expectGreen(result).findings).toMatchObject([{ severity: 'note', code: 'key-permission-unknown' }])
  })
})

/** A vault with access policies in which the workflow may read and nobody may encrypt. */
function policyVault(): Bed['vault'] {
  const vault = off.azure.addVault({ rbac: false })
  off.azure.permitOperator(off.cluster, vault)
  return vault
}

test('the cluster’s identity may not approve the private endpoint', async () => {
  const { permissions, identityOf } = off.azure
  const { objectId } = identityOf(off.cluster)
  permissions.revoke(objectId, 'Key Vault Contributor', off.vault.id)
  await expectRefused(off, 'private-endpoint-approval-missing', 'enable', { ...key(), ...privately(off) })
  permissions.grant(objectId, 'Key Vault Contributor', off.vault.id)
})

describe('the workflow’s identity', () => {
  test('may not use the cluster’s identity', async () => {
    const { permissions, application, identityOf } = off.azure
    const { id } = identityOf(off.cluster)
    permissions.revoke(application.objectId, 'Managed Identity Operator', id)
    const { error } = await expectRefused(off, 'identity-assign-forbidden', 'enable', key())
    expect(error?.fix).toContain(id)
    permissions.grant(application.objectId, 'Managed Identity Operator', id)

    const ofClosed = closed.azure.identityOf(closed.cluster)
    closed.azure.permissions.revoke(closed.azure.application.objectId, 'Managed Identity Operator', ofClosed.id)
    await expectRefused(closed, 'identity-assign-forbidden', 'disable', {})
    closed.azure.permissions.grant(closed.azure.application.objectId, 'Managed Identity Operator', ofClosed.id)
  })

  test('does not see the vault, by its name or by its id', async () => {
    const { permissions, application } = off.azure
    const vault = off.azure.addVault()
    const { id } = await vault.addKey('etcd')
    permissions.grant(application.objectId, 'Key Vault Crypto User', vault.id)
    await expectRefused(off, 'vault-not-visible', 'enable', { 'key-id': id })
    await expectRefused(off, 'vault-not-visible', 'enable', { 'key-id': id, 'key-vault-resource-id': vault.id })

    // What is documented as the least is enough.
    permissions.grant(application.objectId, 'Reader', vault.id)
    off.azure.permitKms(off.cluster, vault)
    const { findings } = expectGreen(await off.run('enable', { 'key-id': id, 'dry-run': 'true' }))
    expect(findings.map(({ code }) => code)).toEqual(['purge-protection-missing'])
  })
})

describe('a new version of a Private vault’s key', () => {
  beforeEach(() => {
    closed.vault.setProperties({ publicNetworkAccess: 'Disabled' })
  })

  test('can’t be made outside of the vault’s network, which a plan says too', async () => {
    for (const dryRun of ['true', 'false']) {
      const { error } = await expectRefused(closed, 'data-plane-unreachable', 'rotate', { 'dry-run': dryRun })
      expect(error?.fix).toMatch(/rotation policy.*`key-id`.*inside the vault’s network/)
    }
  })

  test('is made inside', async () => {
    closed.vault.setProperties({ publicNetworkAccess: 'Enabled' })
    const before = closed.azure.requests.length
    expectGreen(await closed.run('rotate'))
    const [, made = ''] = closed.keyIds()
    await expectStored(closed, seeds, made)

    // What nobody changes in a run is asked for once.
    const asked = closed.azure.requests.slice(before).map(({ path }) => path)
    for (const once of [/\/vaults\/[^/]+$/, /\/roleAssignments$/, /\/permissions$/, /^\/subscriptions\/[^/]+$/]) {
      expect(asked.filter((path) => once.test(path))).toHaveLength(1)
    }
  })
})

test('a role that AKS does not know of yet is waited for', async () => {
  const { permissions, identityOf } = off.azure
  const { objectId } = identityOf(off.cluster)
  permissions.revoke(objectId, 'Key Vault Crypto User', off.vault.id)
  permissions.setPropagationDelay(3_600_000)
  permissions.grant(objectId, 'Key Vault Crypto User', off.vault.id)
  permissions.setPropagationDelay(0)
  off.azure.disturb({
    method: 'PUT',
    url: /managedClusters/,
    skip: 1,
    meanwhile: () => permissions.grant(objectId, 'Key Vault Crypto User', off.vault.id)
  })
  const result = await off.run('enable', key())
  expectGreen(result)
  expect(readable(result.log)).toContain('a role takes up to 10 minutes to spread. Next attempt in 5.0 s')
  await expectStored(off, seeds, off.keyIds()[0] ?? '')
})
