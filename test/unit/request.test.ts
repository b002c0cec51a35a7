import { describe, expect, test } from '@jest/globals'
import { ActionError } from '../../src/errors.ts'
import { parseRequest, type RawInputs, type Request } from '../../src/request.ts'

const ID = '0A1B2C3D-0000-4000-8000-00000000000F'
const inputs: RawInputs = {
  operation: 'rotate',
  dryRun: '',
  resourceGroup: 'rg-platform_(eu)',
  clusterName: 'prod-1',
  subscriptionId: ID,
  tenantId: ID,
  clientId: ID,
  credential: '',
  azureCloud: '',
  kubeconfig: '',
  keyId: '',
  keyVaultNetworkAccess: '',
  keyVaultResourceId: '',
  kubernetesVersion: '',
  maxKeyAge: '',
  retirePrevious: 'false',
  repair: 'false',
  keyName: '',
  keySize: '',
  keyRotationInterval: '',
  identityResourceId: '',
  location: '',
  clusterDefinition: '',
  dueOnly: 'false',
  desiredState: '',
  cluster: '',
  expectedPlanHash: '',
  approvedPlan: '',
  timeoutMinutes: '',
  maxConcurrency: '',
  maxRequestsPerSecond: '',
  recordNamespace: ''
}

function parse(more: Partial<RawInputs> = {}): Request {
  return parseRequest({ ...inputs, ...more })
}

function problem(more: Partial<RawInputs>): { readonly code: string; readonly message: string } {
  try {
    parse(more)
  } catch (error) {
    if (error instanceof ActionError) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('It was taken.')
}

test('what is not set has its default', () => {
  expect(parse()).toEqual({
    operation: 'rotate',
    dryRun: false,
    cluster: { subscriptionId: ID.toLowerCase(), resourceGroup: 'rg-platform_(eu)', name: 'prod-1' },
    subscriptionId: ID.toLowerCase(),
    resourceGroup: 'rg-platform_(eu)',
    retirePrevious: false,
    repair: false,
    preparation: undefined,
    identityResourceId: undefined,
    clusterDefinition: undefined,
    dueOnly: false,
    desired: undefined,
    approval: undefined,
    cloud: expect.objectContaining({ name: 'AzureCloud' }),
    credential: { kind: 'oidc', clientId: ID.toLowerCase(), tenantId: ID.toLowerCase() },
    kubeconfig: undefined,
    key: undefined,
    networkAccess: undefined,
    vaultResourceId: undefined,
    kubernetesVersion: undefined,
    maxKeyAge: undefined,
    timeout: 120 * 60_000,
    maxConcurrency: 200,
    maxRequestsPerSecond: undefined,
    recordNamespace: 'kube-system'
  })
})

test('limits on what is asked of the API server', () => {
  expect(parse({ maxConcurrency: '400', maxRequestsPerSecond: '50' })).toMatchObject({
    maxConcurrency: 400,
    maxRequestsPerSecond: 50
  })
})

test.each([
  ['maxConcurrency', '0'],
  ['maxConcurrency', '401'],
  ['maxConcurrency', '1.5'],
  ['maxRequestsPerSecond', '0'],
  ['maxRequestsPerSecond', '-1'],
  ['maxRequestsPerSecond', 'many']
])('%s: “%s” is refused with what it may be', (name, value) => {
  const { code, message } = problem({ [name]: value })
  expect(code).toBe('input-invalid')
  expect(message).toMatch(/^The input max-[a-z-]+ is “.+”; expected is a whole number from 1 to [\d,]+\.$/)
})

test.each([
  ['36h', 36 * 3_600_000],
  ['90d', 90 * 86_400_000],
  ['12w', 84 * 86_400_000]
])('a key may be %s old', (text, milliseconds) => {
  expect(parse({ maxKeyAge: text }).maxKeyAge).toBe(milliseconds)
})

test.each(['90', '0d', '-1d', '1.5d', '90 d', '90D', '1y'])('%s is no age', (text) => {
  expect(problem({ maxKeyAge: text })).toEqual({ code: 'input-invalid', message: expect.stringContaining(`“${text}”`) })
})

test.each(['true', 'True', 'TRUE'])('%s is true', (text) => {
  expect(parse({ dryRun: text }).dryRun).toBe(true)
})

test.each(['yes', '1', 'on', 'truee'])('%s is no boolean', (text) => {
  expect(problem({ dryRun: text }).code).toBe('input-invalid')
})

describe('signing in', () => {
  test('by the Azure CLI needs no ids', () => {
    const none = { clientId: '', tenantId: '' }
    expect(parse({ credential: 'azure-cli', ...none }).credential).toEqual({ kind: 'azure-cli', tenantId: undefined })
  })

  test('by a managed identity takes one of several by its client id', () => {
    expect(parse({ credential: 'managed-identity' }).credential).toEqual({
      kind: 'managed-identity',
      clientId: ID.toLowerCase()
    })
  })

  test('by OIDC names the environment variable for what is missing', () => {
    expect(problem({ tenantId: '' })).toEqual({
      code: 'input-missing',
      message: expect.stringMatching(/tenant-id.*AZURE_TENANT_ID/)
    })
  })
})

test('a private vault comes with its ARM id', () => {
  const id = '/subscriptions/x/resourceGroups/y/providers/Microsoft.KeyVault/vaults/kv'
  expect(parse({ keyVaultNetworkAccess: 'Private', keyVaultResourceId: id })).toMatchObject({
    networkAccess: 'Private',
    vaultResourceId: id
  })
  expect(problem({ keyVaultNetworkAccess: 'Private', keyVaultResourceId: '/subscriptions/x' }).code).toBe(
    'input-invalid'
  )
  expect(problem({ keyVaultNetworkAccess: 'private' }).code).toBe('input-invalid')
})

test('a vault’s ARM id is that of the key’s vault', () => {
  const keyId = 'https://kv-platform.vault.azure.net/keys/etcd/1'
  const vaultId = (name: string) => `/subscriptions/x/resourceGroups/y/providers/Microsoft.KeyVault/vaults/${name}`
  expect(parse({ keyId, keyVaultResourceId: vaultId('KV-Platform') }).vaultResourceId).toBe(vaultId('KV-Platform'))
  expect(problem({ keyId, keyVaultResourceId: vaultId('kv-other') })).toMatchObject({
    code: 'input-invalid',
    message: expect.stringContaining('kv-platform')
  })
})

test.each([
  ['resource-group', { resourceGroup: '' }],
  ['cluster-name', { clusterName: '' }],
  ['subscription-id', { subscriptionId: '' }]
])('%s is needed', (name, more) => {
  expect(problem(more)).toEqual({ code: 'input-missing', message: expect.stringContaining(name) })
})

describe('status', () => {
  const status = (more: Partial<RawInputs> = {}): Partial<RawInputs> => ({ operation: 'status', ...more })

  test('is of one cluster, of those of a resource group, or of those of the subscription', () => {
    expect(parse(status())).toMatchObject({ cluster: { name: 'prod-1' }, resourceGroup: 'rg-platform_(eu)' })
    expect(parse(status({ clusterName: '' }))).toMatchObject({ cluster: undefined, resourceGroup: 'rg-platform_(eu)' })
    const all = parse(status({ clusterName: '', resourceGroup: '' }))
    expect(all).toMatchObject({ cluster: undefined, resourceGroup: undefined, subscriptionId: ID.toLowerCase() })
  })

  test('takes the age, and lists those that are due only with it', () => {
    const due = parse(status({ maxKeyAge: '90d', dueOnly: 'true' }))
    expect(due).toMatchObject({ maxKeyAge: 90 * 86_400_000, dueOnly: true })
    expect(problem(status({ dueOnly: 'true' }))).toEqual({
      code: 'input-missing',
      message: expect.stringContaining('max-key-age')
    })
  })

  test.each<[string, Partial<RawInputs>, string]>([
    ['due-only elsewhere', { maxKeyAge: '90d', dueOnly: 'true' }, 'due-only'],
    ['a kubeconfig for many clusters', status({ clusterName: '', kubeconfig: 'a: b' }), 'cluster-name'],
    ['a cluster without its resource group', status({ resourceGroup: '' }), 'resource-group'],
    ['a resource group that is none', status({ clusterName: '', resourceGroup: 'a/b' }), 'resource-group'],
    ['a key', status({ keyId: 'https://kv-x.vault.azure.net/keys/etcd/1' }), 'key-id']
  ])('%s is refused', (_, more, name) => {
    expect(problem(more)).toEqual({
      code: expect.stringMatching(/^input-(missing|invalid)$/),
      message: expect.stringContaining(name)
    })
  })
})

test.each([
  { clusterName: '../other' },
  { resourceGroup: 'a/b' },
  { recordNamespace: 'Kube_System' },
  { clusterName: 'a?b' }
])('a name that would lead elsewhere is refused: %j', (more) => {
  expect(problem(more).code).toBe('input-invalid')
})

describe('reconcile', () => {
  const entry = {
    name: 'prod-weu',
    'subscription-id': '99999999-0000-4000-8000-000000000009',
    'resource-group': 'rg-desired',
    'cluster-name': 'aks-desired',
    key: 'https://kv-platform.vault.azure.net/keys/etcd'
  }
  const wanted: Partial<RawInputs> = {
    operation: 'reconcile',
    resourceGroup: '',
    clusterName: '',
    desiredState: JSON.stringify({ clusters: [{ ...entry, name: 'other', 'cluster-name': 'b' }, entry] }),
    cluster: 'prod-weu'
  }

  test('takes the cluster from its entry, whatever subscription the environment has', () => {
    const cluster = { subscriptionId: entry['subscription-id'], resourceGroup: 'rg-desired', name: 'aks-desired' }
    expect(parse(wanted)).toMatchObject({
      cluster,
      subscriptionId: cluster.subscriptionId,
      desired: { name: 'prod-weu' }
    })
  })

  test.each<[Partial<RawInputs>, string]>([
    [{ desiredState: '' }, 'input-missing'],
    [{ cluster: '' }, 'input-missing'],
    [{ cluster: 'prod' }, 'desired-state-invalid'],
    [{ desiredState: '{}' }, 'desired-state-invalid'],
    [{ clusterName: 'aks' }, 'input-invalid'],
    [{ keyId: `${entry.key}/1` }, 'input-invalid'],
    [{ maxKeyAge: '90d' }, 'input-invalid'],
    [{ keyVaultNetworkAccess: 'Public' }, 'input-invalid'],
    [{ azureCloud: 'AzureChinaCloud' }, 'key-id-other-cloud'],
    [{ operation: 'rotate', resourceGroup: 'rg', clusterName: 'aks', desiredState: '' }, 'input-invalid']
  ])('%o is refused', (more, code) => {
    expect(problem({ ...wanted, ...more }).code).toBe(code)
  })
})

describe('prepare', () => {
  const group = `/subscriptions/${ID}/resourceGroups/rg/providers`
  const asked: Partial<RawInputs> = {
    operation: 'prepare',
    resourceGroup: '',
    clusterName: '',
    subscriptionId: '',
    keyVaultResourceId: `${group}/Microsoft.KeyVault/vaults/KV-platform`,
    identityResourceId: `${group}/Microsoft.ManagedIdentity/userAssignedIdentities/prod`
  }

  test('needs two ids, and has a default for the rest', () => {
    expect(parse(asked)).toMatchObject({
      cluster: undefined,
      subscriptionId: ID,
      resourceGroup: undefined,
      preparation: {
        vaultId: asked.keyVaultResourceId,
        vaultUrl: 'https://kv-platform.vault.azure.net',
        keyName: 'etcd',
        keySize: 3072,
        rotationDays: undefined,
        identityId: asked.identityResourceId,
        networkAccess: 'Public',
        location: undefined
      }
    })
    expect(
      parse({ ...asked, keyName: 'k', keySize: '4096', keyRotationInterval: '12w', location: 'West Europe' })
    ).toMatchObject({ preparation: { keyName: 'k', keySize: 4096, rotationDays: 84, location: 'westeurope' } })
  })

  test('takes its subscription from the vault, whatever the workflow’s is', () => {
    const elsewhere = '11111111-0000-4000-8000-000000000001'
    expect(parse({ ...asked, subscriptionId: elsewhere }).subscriptionId).toBe(ID)
  })

  test.each([
    ['key-vault-resource-id', 'input-missing', { keyVaultResourceId: '' }],
    ['identity-resource-id', 'input-missing', { identityResourceId: '' }],
    ['identity-resource-id', 'input-invalid', { identityResourceId: '/subscriptions/x' }],
    ['key-vault-resource-id', 'input-invalid', { keyVaultResourceId: `${group}/Microsoft.KeyVault/vaults/a_b` }],
    ['key-vault-resource-id', 'input-invalid', { keyVaultResourceId: `${group}/Microsoft.KeyVault/managedHSMs/hsm` }],
    ['key-size', 'input-invalid', { keySize: '1024' }],
    ['key-name', 'input-invalid', { keyName: 'a/b' }],
    ['key-rotation-interval', 'input-invalid', { keyRotationInterval: '6d' }],
    ['key-rotation-interval', 'input-invalid', { keyRotationInterval: '36h' }],
    ['location', 'input-invalid', { location: 'west/europe' }],
    ['cluster-name', 'input-invalid', { clusterName: 'prod' }],
    ['resource-group', 'input-invalid', { resourceGroup: 'rg' }],
    ['kubeconfig', 'input-invalid', { kubeconfig: '{}' }],
    ['key-id', 'input-invalid', { keyId: 'https://kv.vault.azure.net/keys/etcd/1' }]
  ])('refuses %s: %s', (name, code, more) => {
    expect(problem({ ...asked, ...more })).toEqual({ code, message: expect.stringContaining(`The input ${name} `) })
  })

  test.each(['keyName', 'keySize', 'keyRotationInterval', 'identityResourceId', 'location'])(
    '%s is for prepare alone',
    (name) => {
      const value = name === 'identityResourceId' ? asked.identityResourceId : '3072'
      expect(problem({ [name]: value }).message).toMatch(/It belongs to .*`prepare`/)
    }
  )
})

describe('create', () => {
  const keyId = 'https://kv-platform.vault.azure.net/keys/etcd/0123456789abcdef0123456789abcdef'
  const identityResourceId =
    '/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/control-plane'
  const clusterDefinition = '{ "location": "westeurope", "properties": { "dnsPrefix": "x" } }'
  const create = { operation: 'create', keyId, identityResourceId, clusterDefinition }

  test('takes a definition, an identity and a key', () => {
    expect(parse(create)).toMatchObject({
      key: { url: keyId },
      identityResourceId,
      clusterDefinition: {
        location: 'westeurope',
        identity: { type: 'UserAssigned', userAssignedIdentities: { [identityResourceId]: {} } },
        properties: { dnsPrefix: 'x' }
      }
    })
  })

  test.each([
    ['input-missing', { keyId: '' }, 'key-id'],
    ['input-missing', { clusterDefinition: '' }, 'cluster-definition'],
    ['input-missing', { keyVaultNetworkAccess: 'Private' }, 'key-vault-resource-id'],
    ['cluster-definition-invalid', { clusterDefinition: '{}' }, 'cluster-definition'],
    ['cluster-definition-invalid', { identityResourceId: '' }, 'identity-resource-id'],
    ['input-invalid', { kubeconfig: '{}' }, 'kubeconfig']
  ])('%s: %j', (code, more, name) => {
    expect(problem({ ...create, ...more })).toEqual({ code, message: expect.stringContaining(name) })
  })

  test('alone takes them', () => {
    for (const more of [{ identityResourceId }, { clusterDefinition }]) {
      expect(problem({ ...more, operation: 'enable', keyId })).toMatchObject({
        code: 'input-invalid',
        message: expect.stringContaining('`create`')
      })
    }
  })
})

describe('change-vault-mode', () => {
  test('needs the mode, and takes no key', () => {
    expect(problem({ operation: 'change-vault-mode' })).toEqual({
      code: 'input-missing',
      message: expect.stringContaining('key-vault-network-access')
    })
    const keyId = 'https://kv-platform.vault.azure.net/keys/etcd/0123456789abcdef0123456789abcdef'
    expect(problem({ operation: 'change-vault-mode', keyVaultNetworkAccess: 'Public', keyId }).code).toBe(
      'input-invalid'
    )
  })
})
