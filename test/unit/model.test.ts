import { describe, expect, test } from '@jest/globals'
import { canonicalJson } from '../../src/model/json.ts'
import { adviseKeys } from '../../src/model/key-advice.ts'
import { usableVersions } from '../../src/model/key.ts'
import { keyVersionFrom, parseKeyId, sameKeyVersion } from '../../src/model/key-id.ts'
import { KMS_OFF, sameKmsProfile } from '../../src/model/kms-profile.ts'
import { compareVersions } from '../../src/model/kubernetes-version.ts'
import { EMPTY_RECORD } from '../../src/model/goal.ts'
import { NO_SECRETS, summarizeNamespaces, summarizeProof, type Pass } from '../../src/model/secrets.ts'
import { DAY, keyDetails, keyVersion, kmsOn, NOW } from '../fixtures/observed.ts'

const [K0, K1, K2] = [keyVersion(1), keyVersion(2), keyVersion(3)]

describe('a key id', () => {
  test('is read into its parts, in Azure’s spelling', () => {
    expect(parseKeyId(' https://KV-Platform.vault.azure.net/keys/etcd/0123abc ', 'vault.azure.net')).toEqual({
      url: 'https://kv-platform.vault.azure.net/keys/etcd/0123abc',
      vaultUrl: 'https://kv-platform.vault.azure.net',
      vaultName: 'kv-platform',
      name: 'etcd',
      version: '0123abc'
    })
  })

  test.each([
    ['', 'malformed'],
    ['http://kv-platform.vault.azure.net/keys/etcd/1', 'malformed'],
    ['https://kv-platform.vault.azure.net/keys/etcd/1?x=1', 'malformed'],
    ['https://kv-platform.vault.azure.net/keys/et_cd/1', 'malformed'],
    ['https://a.b.vault.azure.net/keys/etcd/1', 'malformed'],
    ['https://vault.azure.net/keys/etcd/1', 'other-cloud'],
    ['https://kv-platform.vault.azure.net.example/keys/etcd/1', 'other-cloud'],
    ['https://kv-platform.vault.azure.net/keys/etcd/', 'versionless'],
    ['https://kv-platform.vault.azure.net/certificates/etcd/1', 'not-a-key'],
    ['https://kv-platform.managedhsm.azure.net/keys/etcd/1', 'managed-hsm']
  ])('%s is %s', (text, problem) => {
    expect(parseKeyId(text, 'vault.azure.net')).toBe(problem)
  })

  test('from Azure is read in every cloud', () => {
    expect(keyVersionFrom('https://kv-x.vault.azure.cn/keys/etcd/1')?.vaultName).toBe('kv-x')
    expect(keyVersionFrom('https://kv-x.vault.azure.cn/keys/etcd')).toBeUndefined()
    expect(keyVersionFrom('')).toBeUndefined()
  })

  test('is the same in another case and with a slash at its end', () => {
    expect(sameKeyVersion(`${K1.url.toUpperCase()}/`, K1.url)).toBe(true)
    expect(sameKeyVersion(K1.url, K2.url)).toBe(false)
    expect(sameKeyVersion(undefined, undefined)).toBe(false)
  })
})

test('profiles are the same by what AKS is to do', () => {
  expect(sameKmsProfile(KMS_OFF, KMS_OFF)).toBe(true)
  expect(sameKmsProfile(kmsOn(K1), KMS_OFF)).toBe(false)
  expect(sameKmsProfile(kmsOn(K1), { ...kmsOn(K1), keyId: K1.url.toUpperCase() })).toBe(true)
  expect(sameKmsProfile(kmsOn(K1), { ...kmsOn(K1), networkAccess: 'Private' })).toBe(false)
  expect(sameKmsProfile(kmsOn(K1), { ...kmsOn(K1), vaultResourceId: '/x' })).toBe(false)
})

test.each([
  ['1.9', '1.10', -1],
  ['1.27.9', '1.27', 1],
  ['1.27', '1.27', 0],
  ['1.26.12', '1.27', -1],
  ['1.27.10', '1.27.9', 1]
])('versions are compared as numbers: %s, %s', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign)
})

test('usable versions are enabled, valid by now, and not expired; the newest is the last', () => {
  const usable = keyDetails(K1)
  const others = [
    keyDetails(K2, { enabled: false }),
    keyDetails(K2, { expires: NOW }),
    keyDetails(K2, { notBefore: NOW + DAY })
  ]
  const oldest = keyDetails(K0)
  expect(usableVersions([...others, usable, oldest], NOW)).toEqual([oldest, usable])
  expect(usableVersions(others, NOW)).toEqual([])
  expect(usableVersions([usable, keyDetails(K2, { expires: NOW + 1, notBefore: NOW })], NOW).at(-1)?.id).toEqual(K2)
  const sameSecond = keyDetails(K2, { created: usable.created })
  expect(usableVersions([sameSecond, usable], NOW)).toEqual(usableVersions([usable, sameSecond], NOW))
})

test('canonical JSON does not depend on the order of properties', () => {
  expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: true })).toBe('{"a":true,"b":[1,{"c":"x","d":null}]}')
})

describe('advice on keys', () => {
  const record = { ...EMPTY_RECORD, provedKeyId: K1.url, previousKeyId: K0.url }
  const states = (run: Parameters<typeof adviseKeys>[0]): string[] =>
    adviseKeys(run).map(({ keyId, state }) => `${keyId.slice(-1)} ${state}`)

  test('after a rotation: the previous one stays, the one before it may go', () => {
    expect(states({ profiles: [kmsOn(K1), kmsOn(K2)], record, proved: true })).toEqual([
      '3 current',
      '2 keep',
      '1 may-be-retired'
    ])
  })

  test('a record that is out of date frees nothing', () => {
    const outdated = { ...record, provedKeyId: K0.url, previousKeyId: K2.url }
    expect(states({ profiles: [kmsOn(K1), kmsOn(K2)], record: outdated, proved: true })).toEqual([
      '3 current',
      '2 keep'
    ])
  })

  test('without a change: both of AKS’s keys stay', () => {
    expect(states({ profiles: [kmsOn(K1), kmsOn(K1)], record, proved: true })).toEqual(['2 current', '1 keep'])
  })

  test('where nothing is proved everything stays', () => {
    expect(states({ profiles: [kmsOn(K1), kmsOn(K2)], record, proved: false })).toEqual([
      '3 current',
      '2 keep',
      '1 keep'
    ])
  })

  test('after disable everything stays', () => {
    expect(states({ profiles: [kmsOn(K1), KMS_OFF], record, proved: true })).toEqual(['2 keep', '1 keep'])
  })

  test('enabled anew: what was in use before stays', () => {
    const off = { ...record, provedKeyId: 'identity', previousKeyId: K1.url }
    expect(states({ profiles: [KMS_OFF, kmsOn(K2)], record: off, proved: true })).toEqual(['3 current', '2 keep'])
    expect(states({ profiles: [KMS_OFF, kmsOn(K2)], record: EMPTY_RECORD, proved: true })).toEqual(['3 current'])
  })
})

test('a proof in one row: listed at its start, rewritten in all passes, failed in the last', () => {
  const pass = (reEncrypted: number, alreadyCurrent: number, failed: number): Pass => {
    const counts = { ...NO_SECRETS, total: reEncrypted + alreadyCurrent + failed, reEncrypted, alreadyCurrent, failed }
    return { complete: true, counts, byNamespace: new Map([['a', counts]]), failures: [], durationMs: 1 }
  }
  const evidence = { basis: 'metrics', reason: undefined, servers: [], live: 0, connections: 0, waitedMs: 0 } as const
  const rest = { verdict: 'proved', evidence, brokenOff: undefined } as const
  const proof = { ...rest, passes: [pass(5, 2, 1), pass(1, 7, 0), pass(0, 8, 0)] }
  const row = { total: 8, reEncrypted: 6, alreadyCurrent: 2, gone: 0, failed: 0, failedForGood: 0 }
  expect(summarizeProof(proof)).toEqual(row)
  expect(summarizeNamespaces(proof)).toEqual([{ namespace: 'a', counts: row }])
  expect(summarizeProof({ ...rest, passes: [] })).toEqual(NO_SECRETS)
})
