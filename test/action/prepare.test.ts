import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import type { RunReport } from '../../src/model/report.ts'
import type { RoleName } from '../../testbed/azure/role-assignments.ts'
import type { Vault } from '../../testbed/azure/vaults.ts'
import { startEmbeddedBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { RunOptions, RunResult } from '../../testbed/runner/run-action.ts'
import { expectGreen, expectRed, readable } from './expectations.ts'

let bed: Bed
let group: string

beforeAll(async () => {
  bed = await startEmbeddedBed({ timeScale: 0.001 })
  bed.azure.permitPreparer()
  group = `/subscriptions/${bed.azure.subscriptionId}/resourceGroups/${bed.azure.resourceGroup}/providers`
})
afterAll(async () => {
  expect(bed.network.failures).toEqual([])
  await bed.stop()
})

/** Ids of a vault and an identity, there or not. */
function idsOf(name: string): { readonly vaultId: string; readonly identityId: string } {
  return {
    vaultId: `${group}/Microsoft.KeyVault/vaults/kv-${name}`,
    identityId: `${group}/Microsoft.ManagedIdentity/userAssignedIdentities/id-${name}`
  }
}

/** Small keys, because the bed makes real ones. */
async function prepare(name: string, more: Inputs = {}, options: Omit<RunOptions, 'inputs'> = {}): Promise<RunResult> {
  const { vaultId, identityId } = idsOf(name)
  const none = { 'resource-group': '', 'cluster-name': '' }
  const ids = { 'key-vault-resource-id': vaultId, 'identity-resource-id': identityId }
  return await bed.run('prepare', { ...none, ...ids, 'key-size': '2048', ...more }, options)
}

function vaultOf(name: string): Vault {
  const vault = bed.azure.vaults.find(({ id }) => id === idsOf(name).vaultId)
  if (vault === undefined) throw new Error(`there is no vault kv-${name}`)
  return vault
}

function principalOf(name: string): string {
  const identity = bed.azure.identities.find(({ id }) => id === idsOf(name).identityId)
  if (identity === undefined) throw new Error(`there is no identity id-${name}`)
  return identity.objectId
}

/** Whether Azure lets the identity do what KMS takes, now. */
function mayUseKey(name: string): boolean {
  return ['encrypt', 'decrypt'].every((operation) =>
    bed.azure.permissions.allowsData(
      principalOf(name),
      `Microsoft.KeyVault/vaults/keys/${operation}/action`,
      `${idsOf(name).vaultId}/keys/etcd`
    )
  )
}

function states({ resources }: RunReport): readonly string[] {
  return resources.map(({ kind, state }) => `${kind} ${state}`)
}

/** Runs it, and gives the methods and last names of what was written. */
async function writesOf<T>(
  work: () => Promise<T>
): Promise<{ readonly result: T; readonly writes: readonly string[] }> {
  const before = bed.azure.writes.length
  const result = await work()
  const writes = bed.azure.writes.slice(before).map(({ method, path }) => {
    const [, type = '', name = ''] = /\/([^/]+)\/([^/]+)$/.exec(path) ?? []
    return `${method} ${type}/${type === 'roleAssignments' ? '…' : name}`
  })
  return { result, writes }
}

async function expectRefused(code: Code, name: string, more: Inputs = {}): Promise<RunReport> {
  const { result, writes } = await writesOf(() => prepare(name, more))
  const report = expectRed(result, code)
  expect(writes).toEqual([])
  expect(report.steps).toEqual([])
  expect(result.outputs).toMatchObject({ 'key-id': '', 'key-vault-resource-id': '', 'identity-resource-id': '' })
  return report
}

describe('from nothing', () => {
  test('a dry run tells what would be made, and makes nothing', async () => {
    const dry = (): ReturnType<typeof prepare> =>
      prepare('public', { 'dry-run': 'true', 'key-rotation-interval': '90d' })
    const { result, writes } = await writesOf(dry)
    const report = expectGreen(result)
    expect(writes).toEqual([])
    expect(report.plan?.steps.map(({ kind }) => kind)).toEqual([
      'create-vault',
      'create-identity',
      'create-key',
      'assign-role',
      'wait-for-roles'
    ])
    expect(states(report)).toEqual(['vault missing', 'key missing', 'identity missing', 'use-key missing'])
    expect(result.summary).toContain('➕\u00a0to\u00a0be\u00a0made')
    expect((await dry()).outputs['plan-hash']).toBe(result.outputs['plan-hash'])
  })

  test('all of it is made', async () => {
    const name = 'public'
    const { result, writes } = await writesOf(() => prepare(name, { 'key-size': '', 'key-rotation-interval': '90d' }))
    const report = expectGreen(result)
    expect(writes).toEqual([
      'PUT vaults/kv-public',
      'PUT userAssignedIdentities/id-public',
      'PUT keys/etcd',
      'PUT roleAssignments/…'
    ])
    expect(states(report)).toEqual(['vault made', 'key made', 'identity made', 'use-key made'])
    const vault = vaultOf(name)
    expect(vault.properties).toMatchObject({
      tenantId: bed.azure.tenantId,
      enableRbacAuthorization: true,
      enableSoftDelete: true,
      enablePurgeProtection: true,
      publicNetworkAccess: 'Enabled'
    })
    expect(vault.location).toBe(bed.azure.location)
    const [version] = vault.versions('etcd')
    expect(version).toMatchObject({ type: 'RSA', size: 3072, operations: ['encrypt', 'decrypt'], expires: undefined })
    expect(vault.keys.get('etcd')?.rotationPolicy).toEqual({
      lifetimeActions: [{ trigger: { timeAfterCreate: 'P90D' }, action: { type: 'Rotate' } }]
    })
    expect(mayUseKey(name)).toBe(true)
    const { vaultId, identityId } = idsOf(name)
    expect(result.outputs).toMatchObject({
      changed: 'false',
      'key-id': version?.id,
      'key-vault-resource-id': vaultId,
      'identity-resource-id': identityId
    })
    expect(result.summary).toContain('🆕\u00a0made')
    expect(result.summary).toContain(`key-id: ${version?.id ?? ''}`)
    expect([...readable(result.log).matchAll(/^::group::(.*)$/gm)].map(([, title]) => title?.split(' ')[0])).toEqual(
      expect.arrayContaining(['Make', 'Make', 'Make', 'Give'])
    )
  })

  test('and again nothing is made or changed', async () => {
    const { result, writes } = await writesOf(() =>
      prepare('public', { 'key-size': '', 'key-rotation-interval': '90d' })
    )
    const report = expectGreen(result)
    expect(writes).toEqual([])
    expect(report.steps).toEqual([])
    expect(report.findings).toEqual([])
    expect(states(report)).toEqual(['vault was-there', 'key was-there', 'identity was-there', 'use-key was-there'])
    expect(result.outputs['key-id']).toBe(vaultOf('public').versions('etcd')[0]?.id)
  })

  test('in other resource groups and another location, a vault that no public network reaches', async () => {
    bed.azure.addResourceGroup('identities')
    bed.azure.permitPreparer('identities')
    const ids = idsOf('private')
    const elsewhere = ids.identityId.replace(/resourceGroups\/[^/]+/, 'resourceGroups/identities')
    const asked: Inputs = {
      'identity-resource-id': elsewhere,
      'key-vault-network-access': 'Private',
      location: 'North Europe'
    }
    const { result, writes } = await writesOf(() => prepare('private', asked))
    const report = expectGreen(result)
    expect(writes.filter((write) => write.startsWith('PUT roleAssignments'))).toHaveLength(2)
    expect(states(report)).toEqual([
      'vault made',
      'key made',
      'identity made',
      'use-key made',
      'approve-private-endpoint made'
    ])
    const vault = vaultOf('private')
    expect(vault).toMatchObject({ location: 'northeurope', properties: { publicNetworkAccess: 'Disabled' } })
    const identity = bed.azure.identities.find(({ id }) => id === elsewhere)
    const approve = 'Microsoft.KeyVault/vaults/privateEndpointConnectionsApproval/action'
    expect(bed.azure.permissions.allows(identity?.objectId ?? '', approve, vault.id)).toBe(true)
    expect(result.summary).toContain('key-vault-network-access: Private')

    const again = await writesOf(() => prepare('private', asked))
    expect(states(expectGreen(again.result)).every((state) => state.endsWith('was-there'))).toBe(true)
    expect(again.writes).toEqual([])
  })

  test('neither Kubernetes nor any vault’s own API was asked for anything', () => {
    expect(new Set(bed.network.connected)).toEqual(
      new Set([`${bed.azure.cloud.authorityHost}:443`, `${bed.azure.cloud.resourceManagerHost}:443`])
    )
  })
})

describe('what is there is left as it is', () => {
  test('and what differs is named, with a warning for each difference', async () => {
    const { vaultId, identityId } = idsOf('differs')
    const vault = bed.azure.addVault({ name: 'kv-differs' })
    bed.azure.addIdentity('id-differs')
    await vault.addKey('etcd', { size: 2048 })
    const { result, writes } = await writesOf(() =>
      prepare('differs', { 'key-size': '3072', 'key-rotation-interval': '90d', location: 'uksouth' })
    )
    const report = expectGreen(result)
    expect(writes).toEqual(['PUT roleAssignments/…'])
    expect(states(report)).toEqual(['vault differs', 'key differs', 'identity differs', 'use-key made'])
    expect(report.resources.map(({ differences }) => differences.length)).toEqual([2, 2, 1, 0])
    expect(report.findings.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      'warning purge-protection-missing',
      ...Array<string>(4).fill('warning resource-differs')
    ])
    expect(result.annotations.filter(({ level }) => level === 'warning')).toHaveLength(5)
    expect(result.summary).toContain('It has 2048 bits rather than 3072.')
    expect(result.outputs).toMatchObject({ 'key-vault-resource-id': vaultId, 'identity-resource-id': identityId })
    expect(vault.properties).not.toHaveProperty('enablePurgeProtection')
    expect(vault.keys.get('etcd')?.rotationPolicy).toBeUndefined()
  })

  test('a role that holds on the vault, and the newest version that can be used', async () => {
    const vault = bed.azure.addVault({ name: 'kv-older', properties: { enablePurgeProtection: true } })
    const identity = bed.azure.addIdentity('id-older')
    bed.azure.permissions.grant(identity.objectId, 'Key Vault Crypto User', vault.id)
    const day = 86_400
    const created = Math.floor(Date.now() / 1000) - 10 * day
    await vault.addKey('etcd', { created })
    const newest = await vault.addKey('etcd', { created: created + day })
    await vault.addKey('etcd', { created: created + 2 * day, enabled: false })
    const { result, writes } = await writesOf(() => prepare('older'))
    expect(states(expectGreen(result))).toEqual([
      'vault was-there',
      'key was-there',
      'identity was-there',
      'use-key was-there'
    ])
    expect(writes).toEqual([])
    expect(result.outputs['key-id']).toBe(newest.id)
  })

  test('a vault with access policies gets one more, and keeps the others', async () => {
    const others = [{ tenantId: bed.azure.tenantId, objectId: 'somebody', permissions: { keys: ['all'] } }]
    const properties = { accessPolicies: others, enablePurgeProtection: true }
    const vault = bed.azure.addVault({ name: 'kv-policies', rbac: false, properties })
    await vault.addKey('etcd')
    const { result, writes } = await writesOf(() => prepare('policies'))
    const report = expectGreen(result)
    expect(writes).toEqual(['PUT userAssignedIdentities/id-policies', 'PUT accessPolicies/add'])
    expect(states(report)).toEqual(['vault differs', 'key was-there', 'identity made', 'use-key made'])
    expect(vault.properties['accessPolicies']).toEqual([
      ...others,
      {
        tenantId: bed.azure.tenantId,
        objectId: principalOf('policies'),
        permissions: { keys: ['encrypt', 'decrypt'] }
      }
    ])
    const again = await writesOf(() => prepare('policies'))
    expect(states(expectGreen(again.result)).at(-1)).toBe('use-key was-there')
    expect(again.writes).toEqual([])
  })
})

describe('what makes KMS impossible is refused, and nothing is made', () => {
  let key: Vault

  beforeAll(() => {
    key = bed.azure.addVault({ name: 'kv-refused' })
  })

  test('an elliptic key', async () => {
    await key.addKey('elliptic', { type: 'EC', operations: ['sign', 'verify'] })
    await expectRefused('key-not-rsa', 'refused', { 'key-name': 'elliptic' })
  })

  test('a key that does not permit decrypt', async () => {
    await key.addKey('half', { operations: ['encrypt'] })
    await expectRefused('key-lacks-operations', 'refused', { 'key-name': 'half' })
  })

  test('a key of which no version can be used', async () => {
    await key.addKey('disabled', { enabled: false })
    await expectRefused('key-disabled', 'refused', { 'key-name': 'disabled' })
  })

  test('a deleted key, with the command that recovers it', async () => {
    await key.addKey('deleted')
    const state = key.keys.get('deleted')
    if (state !== undefined) state.deleted = Math.floor(Date.now() / 1000)
    const { error } = await expectRefused('key-deleted', 'refused', { 'key-name': 'deleted' })
    expect(error?.fix).toContain('az keyvault key recover --vault-name kv-refused --name deleted')
  })

  test('a deleted vault, with the command that recovers it', async () => {
    bed.azure.removeVault(bed.azure.addVault({ name: 'kv-deleted' }))
    const reader = [bed.azure.application.objectId, 'Reader', `/subscriptions/${bed.azure.subscriptionId}`] as const
    bed.azure.permissions.grant(...reader)
    const { error } = await expectRefused('vault-deleted', 'deleted')
    expect(error?.fix).toContain('az keyvault recover --name kv-deleted --location westeurope')
    bed.azure.permissions.revoke(...reader)
    // Who may not look for deleted vaults is told by Azure when it is too late for more than the vault.
    const { result, writes } = await writesOf(() => prepare('deleted'))
    expectRed(result, 'vault-deleted')
    expect(writes).toEqual(['PUT vaults/kv-deleted'])
  })

  test('a vault whose name is taken', async () => {
    bed.azure.addResourceGroup('others')
    bed.azure.addVault({ name: 'kv-taken', resourceGroup: 'others' })
    const { result, writes } = await writesOf(() => prepare('taken'))
    expectRed(result, 'vault-name-taken')
    expect(writes).toEqual(['PUT vaults/kv-taken'])
  })

  test('a vault that lets nobody in, or some only', async () => {
    const closed = bed.azure.addVault({ name: 'kv-closed', properties: { publicNetworkAccess: 'Disabled' } })
    await expectRefused('vault-public-access-disabled', 'closed')
    closed.setProperties({ publicNetworkAccess: 'Enabled', networkAcls: { defaultAction: 'Deny' } })
    await expectRefused('vault-selected-networks', 'closed')
  })

  test('a vault of another tenant', async () => {
    bed.azure.addVault({ name: 'kv-foreign', properties: { tenantId: bed.azure.entra.addTenant() } })
    await expectRefused('vault-other-tenant', 'foreign')
  })

  test('a resource group that is not there, with the command that makes it', async () => {
    const nowhere = idsOf('x').identityId.replace(/resourceGroups\/[^/]+/, 'resourceGroups/nowhere')
    const scope = [bed.azure.application.objectId, 'Reader', `/subscriptions/${bed.azure.subscriptionId}`] as const
    bed.azure.permissions.grant(...scope)
    const { error } = await expectRefused('resource-group-not-found', 'x', { 'identity-resource-id': nowhere })
    bed.azure.permissions.revoke(...scope)
    expect(error?.fix).toContain('az group create --name nowhere')
  })

  test('a workflow that may not read the key of an old vault', async () => {
    const reader = roleOfPreparer('Key Vault Reader')
    bed.azure.permissions.revoke(...reader)
    const report = await expectRefused('key-forbidden', 'refused')
    bed.azure.permissions.grant(...reader)
    expect(report.error?.message).toContain('kv-refused')
  })
})

describe('a run that does not come to its end', () => {
  test('is finished by running it again, wherever it was killed', async () => {
    const made: string[] = []
    for (const after of ['vaults/kv-killed', 'userAssignedIdentities/id-killed', 'keys/etcd', 'role assignment']) {
      const killer = new AbortController()
      const onLine = (line: string): void => {
        if (line.startsWith('Made ') && line.includes(after)) killer.abort()
      }
      const { result, writes } = await writesOf(() => prepare('killed', {}, { kill: killer.signal, onLine }))
      expect(result.exitCode).toBeNull()
      made.push(...writes)
    }
    expect(made).toHaveLength(4)
    const { result, writes } = await writesOf(() => prepare('killed'))
    expect(states(expectGreen(result)).every((state) => state.endsWith('was-there'))).toBe(true)
    expect(writes).toEqual([])
    expect(vaultOf('killed').versions('etcd')).toHaveLength(1)
    expect(mayUseKey('killed')).toBe(true)
  })

  test('for lack of a right says which role to grant, and what was made so far; and then goes on', async () => {
    const right = roleOfPreparer('Role Based Access Control Administrator')
    bed.azure.permissions.revoke(...right)
    bed.azure.permissions.grant(right[0], 'Reader', right[2])
    const result = await prepare('halfway')
    const report = expectRed(result, 'authorization-failed')
    expect(report.error?.fix).toContain('--role "Role Based Access Control Administrator" --scope ')
    expect(report.error?.fix).toContain('/vaults/kv-halfway/keys/etcd`')
    expect(states(report)).toEqual(['vault made', 'key made', 'identity made', 'use-key missing'])
    expect(result.summary).toContain('this run made `kv-halfway`, `etcd`, `id-halfway`. All of it stays.')
    bed.azure.permissions.revoke(right[0], 'Reader', right[2])
    bed.azure.permissions.grant(...right)
    const again = await writesOf(() => prepare('halfway'))
    expect(states(expectGreen(again.result))).toEqual([
      'vault was-there',
      'key was-there',
      'identity was-there',
      'use-key made'
    ])
    expect(again.writes).toEqual(['PUT roleAssignments/…'])
  })

  test('because it may make no vault says so with the resource group to grant it on', async () => {
    const right = roleOfPreparer('Key Vault Contributor')
    bed.azure.permissions.revoke(...right)
    const report = expectRed(await prepare('never'), 'authorization-failed')
    bed.azure.permissions.grant(...right)
    expect(report.error?.fix).toMatch(
      /--role "Key Vault Contributor" --scope \/subscriptions\/[^/]+\/resourceGroups\/[^/`]+`/
    )
    expect(states(report).every((state) => state.endsWith('missing'))).toBe(true)
  })
})

describe('Azure', () => {
  test('is waited for: a vault that is not ready, and roles that have not spread', async () => {
    const { permissions } = bed.azure
    const key = /\/vaults\/kv-slow\/keys\/etcd$/
    const forbidden = {
      status: 400,
      body: { error: { code: 'ForbiddenByRbac', message: 'Caller is not authorized to perform action on resource.' } }
    }
    bed.azure.disturb({ method: 'GET', url: key, times: 2, reply: forbidden })
    bed.azure.disturb({ method: 'PUT', url: key, times: 1, reply: forbidden })
    permissions.setPropagationDelay(2_500)
    const result = await prepare('slow')
    permissions.setPropagationDelay(0)
    const report = expectGreen(result)
    expect(mayUseKey('slow')).toBe(true)
    expect(report.steps.map(({ kind }) => kind)).toEqual([
      'create-vault',
      'create-identity',
      'wait-for-vault',
      'create-key',
      'assign-role',
      'wait-for-roles'
    ])
    expect(result.log).toMatch(/Azure may take until \d\d:\d\d:\d\d UTC\./)
    expect(result.log).toContain('The roles that hold at the new vault have not spread to it yet.')
    expect(result.log).toMatch(/Waiting until \d\d:\d\d:\d\d UTC\./)
  })

  test('may lose its answers: each thing is made once', async () => {
    for (const url of [/\/vaults\/kv-lossy$/, /\/kv-lossy\/keys\/etcd$/, /\/kv-lossy\/.*\/roleAssignments\//]) {
      bed.azure.disturb({ method: 'PUT', url, loseAnswer: true })
    }
    const report = expectGreen(await prepare('lossy'))
    expect(states(report)).toEqual(['vault made', 'key made', 'identity made', 'use-key made'])
    expect(vaultOf('lossy').versions('etcd')).toHaveLength(1)
  })

  test('may have it from somebody else meanwhile: it is looked at again', async () => {
    const url = (path: string): RegExp => new RegExp(`/${path}$`)
    // Each read that a run makes right before it writes comes too late.
    bed.azure.disturb({
      method: 'GET',
      url: url('vaults/kv-race'),
      skip: 1,
      meanwhile: () => {
        bed.azure.addVault({ name: 'kv-race', properties: { enablePurgeProtection: true } })
      }
    })
    bed.azure.disturb({
      method: 'GET',
      url: url('userAssignedIdentities/id-race'),
      skip: 2,
      meanwhile: () => {
        bed.azure.addIdentity('id-race')
      }
    })
    bed.azure.disturb({
      method: 'PUT',
      url: /kv-race\/.*roleAssignments\//,
      meanwhile: () => {
        bed.azure.permissions.grant(principalOf('race'), 'Key Vault Crypto User', `${idsOf('race').vaultId}/keys/etcd`)
      }
    })
    const { result, writes } = await writesOf(() => prepare('race'))
    expect(states(expectGreen(result))).toEqual([
      'vault was-there',
      'key made',
      'identity was-there',
      'use-key was-there'
    ])
    expect(writes).toEqual(['PUT keys/etcd', 'PUT roleAssignments/…'])
    expect(result.log.match(/Looking again\./g)).toHaveLength(3)
  })
})

function roleOfPreparer(role: RoleName): readonly [string, RoleName, string] {
  const { application, subscriptionId, resourceGroup } = bed.azure
  return [application.objectId, role, `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`]
}
