import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { load } from 'js-yaml'
import { desiredCluster, parseDesiredState } from '../../src/desired-state.ts'
import { ActionError } from '../../src/errors.ts'

const ID = '0A1B2C3D-0000-4000-8000-00000000000F'
const VAULT = `/subscriptions/${ID}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-platform`
const KEY = 'https://kv-platform.vault.azure.net/keys/etcd'
const VERSION = '3f2a91c07be94d7a9f0e1d2c3b4a5968'

type Entry = Readonly<Record<string, unknown>>
const entry: Entry = {
  name: 'prod-weu',
  'subscription-id': ID,
  'resource-group': 'rg-prod',
  'cluster-name': 'aks-prod',
  key: KEY
}

function without(...names: string[]): Entry {
  return Object.fromEntries(Object.entries(entry).filter(([name]) => !names.includes(name)))
}

function parse(...clusters: readonly unknown[]) {
  return parseDesiredState(JSON.stringify({ clusters }))
}

function problem(text: string): string {
  try {
    parseDesiredState(text)
  } catch (error) {
    if (error instanceof ActionError && error.code === 'desired-state-invalid') return error.message
    throw error
  }
  throw new Error('It was taken.')
}

test('an entry with what it must have has the rest by default', () => {
  expect(parse(entry).clusters).toEqual([
    {
      name: 'prod-weu',
      cluster: { subscriptionId: ID.toLowerCase(), resourceGroup: 'rg-prod', name: 'aks-prod' },
      enabled: true,
      key: {
        url: KEY,
        vaultUrl: 'https://kv-platform.vault.azure.net',
        vaultName: 'kv-platform',
        name: 'etcd',
        version: undefined
      },
      networkAccess: 'Public',
      vaultResourceId: undefined,
      maxKeyAge: undefined,
      environment: undefined
    }
  ])
})

test('every property is read', () => {
  const text = `
# yaml-language-server: $schema=https://example.com/desired-state.schema.json
clusters:
  - name: prod-weu
    subscription-id: ${ID}
    resource-group: rg-prod
    cluster-name: aks-prod
    enabled: true
    key: ${KEY}
    key-vault-network-access: Private
    key-vault-resource-id: ${VAULT}
    max-key-age: 90d
    environment: production (EU)
  - { name: test, subscription-id: ${ID}, resource-group: rg, cluster-name: aks-test, enabled: false }
`
  expect(parseDesiredState(text).clusters).toMatchObject([
    {
      networkAccess: 'Private',
      vaultResourceId: VAULT,
      maxKeyAge: 90 * 86_400_000,
      environment: 'production (EU)'
    },
    { name: 'test', enabled: false, key: undefined }
  ])
})

test('a key may name a version', () => {
  expect(parse({ ...entry, key: `${KEY}/${VERSION}` }).clusters[0]?.key).toMatchObject({
    name: 'etcd',
    version: VERSION
  })
})

describe('what is wrong is told with entry, property and mending', () => {
  test.each<[string, unknown, string]>([
    [
      'a name',
      without('name'),
      'clusters[0]: name is missing; write at most 50 lower-case letters, digits and dashes.'
    ],
    ['a long name', { ...entry, name: 'Prod WEU' }, 'clusters[0] (Prod WEU): name is “Prod WEU”; write at most 50'],
    ['the subscription', { ...entry, 'subscription-id': 'prod' }, 'subscription-id is “prod”; write a GUID.'],
    [
      'the group',
      { ...entry, 'resource-group': 7 },
      'resource-group is 7; write the name of a resource group, in quotes'
    ],
    ['the cluster', without('cluster-name'), 'cluster-name is missing; write the name of an AKS cluster.'],
    ['enabled', { ...entry, enabled: 'yes' }, 'enabled is “yes”; write true or false, without quotes.'],
    ['no key', without('key'), 'key is missing; write `https://<vault>.vault.azure.net/keys/<name>`'],
    ['a text as key', { ...entry, key: 'etcd' }, 'key “etcd” is not a Key Vault key; write `https://'],
    [
      'a certificate',
      { ...entry, key: KEY.replace('keys', 'certificates') },
      'is a secret or a certificate; write a key'
    ],
    ['a Managed HSM', { ...entry, key: 'https://h.managedhsm.azure.net/keys/k' }, 'is in a Managed HSM'],
    ['the mode', { ...entry, 'key-vault-network-access': 'private' }, 'is “private”; write `Public` or `Private`.'],
    ['no vault', { ...entry, 'key-vault-network-access': 'Private' }, 'key-vault-resource-id is missing;'],
    ['the vault', { ...entry, 'key-vault-resource-id': 'kv' }, 'key-vault-resource-id is “kv”; write the ARM id'],
    [
      'another vault',
      { ...entry, 'key-vault-resource-id': VAULT.replace('platform', 'other') },
      'key-vault-resource-id is not that of the key’s vault, kv-platform'
    ],
    ['the age', { ...entry, 'max-key-age': '3 months' }, 'max-key-age is “3 months”; write a time such as `90d`'],
    ['an age of days', { ...entry, 'max-key-age': 90 }, 'max-key-age is 90; write a time such as `90d`'],
    ['both', { ...entry, key: `${KEY}/${VERSION}`, 'max-key-age': '90d' }, 'max-key-age can’t be kept with a version'],
    [
      'a property',
      { ...entry, keyId: KEY },
      'clusters[0] (prod-weu): keyId is no property; there are name, subscription-id'
    ],
    ['a text', 'prod', 'clusters[0] must be a cluster with its properties.']
  ])('%s', (_, cluster, expected) => {
    expect(problem(JSON.stringify({ clusters: [cluster] }))).toContain(expected)
  })

  test('all of it at once', () => {
    const message = problem(JSON.stringify({ clusters: [without('key'), { ...without('name'), enabled: 1 }], more: 1 }))
    expect(message.split('\n')).toEqual([
      'The desired state can’t be used:',
      'more is no property; there are clusters.',
      expect.stringContaining('clusters[0] (prod-weu): key'),
      expect.stringContaining('clusters[1]: enabled'),
      expect.stringContaining('clusters[1]: name')
    ])
  })

  test('names and clusters that are there twice', () => {
    const twin = { ...entry, name: 'other', 'cluster-name': 'AKS-PROD' }
    expect(problem(JSON.stringify({ clusters: [entry, { ...entry, 'cluster-name': 'b' }] }))).toContain(
      'has the same name as prod-weu'
    )
    expect(problem(JSON.stringify({ clusters: [entry, twin] }))).toContain('other has the same cluster as prod-weu')
  })

  test.each([
    ['nothing', ''],
    ['a text', 'clusters'],
    ['no list', 'clusters: prod'],
    ['an empty list', 'clusters: []'],
    ['no YAML', 'clusters: [a'],
    ['a property twice', 'clusters:\n  - name: a\n    name: b']
  ])('a document of %s', (_, text) => {
    expect(problem(text)).toContain('The desired state can’t be used')
  })

  test('a name that is not there', () => {
    expect(() => desiredCluster(parse(entry), 'prod')).toThrow('It has no cluster “prod”; there are prod-weu.')
  })
})

describe('the schema for editors', () => {
  const schema = JSON.parse(readFileSync('docs/desired-state.schema.json', 'utf8')) as object
  const validate = new Ajv2020({ allErrors: true, strict: true, strictTypes: false, strictRequired: false }).compile(
    schema
  )

  test('takes what the action takes', () => {
    const sample = /```yaml\n(.*?)\n```/s.exec(readFileSync('docs/desired-state.md', 'utf8'))?.[1] ?? ''
    expect(parseDesiredState(sample).clusters.length).toBeGreaterThan(1)
    for (const document of [
      { clusters: [entry] },
      { clusters: [{ ...without('key'), enabled: false }] },
      load(sample)
    ]) {
      validate(document)
      expect(validate.errors ?? []).toEqual([])
    }
  })

  test.each<[string, Entry]>([
    ['no key', without('key')],
    ['an unknown property', { ...entry, keyId: KEY }],
    ['a mode in another case', { ...entry, 'key-vault-network-access': 'private' }],
    ['Private without the vault', { ...entry, 'key-vault-network-access': 'Private' }],
    ['an age of days', { ...entry, 'max-key-age': 90 }],
    ['an age beside a version', { ...entry, key: `${KEY}/${VERSION}`, 'max-key-age': '90d' }],
    ['a secret', { ...entry, key: KEY.replace('keys', 'secrets') }]
  ])('refuses %s, as the action does', (_, cluster) => {
    expect(validate({ clusters: [cluster] })).toBe(false)
    expect(problem(JSON.stringify({ clusters: [cluster] }))).not.toBe('')
  })
})
