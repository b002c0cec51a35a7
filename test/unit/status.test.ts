import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ClusterStatus } from '../../src/model/cluster-status.ts'
import { finding, type Finding } from '../../src/model/finding.ts'
import { EMPTY_RECORD, type Goal } from '../../src/model/goal.ts'
import type { KeyObservation, KeyUnreadable } from '../../src/model/key.ts'
import type { KeyVersion } from '../../src/model/key-id.ts'
import { KMS_OFF } from '../../src/model/kms-profile.ts'
import { groupFindings, statusOf, statusSentence, type SeenCluster } from '../../src/operations/status.ts'
import { clustersListed, clustersOutput } from '../../src/report/clusters-output.ts'
import { clusterWith, DAY, keyVersion, kmsOn } from '../fixtures/observed.ts'
import {
  armId,
  keyOfAge,
  largeFleet,
  LOOKED_AT,
  MAX_KEY_AGE,
  mixedFleet,
  readable,
  recordOf,
  seenCluster,
  seenOff,
  statusReport
} from '../fixtures/statuses.ts'

const [K1, K2, K3] = [keyVersion(1), keyVersion(2), keyVersion(3)]

function statusOfOne(seen: SeenCluster, maxKeyAge: number | undefined = MAX_KEY_AGE): ClusterStatus {
  const [status] = statusOf([seen], { now: LOOKED_AT, maxKeyAge })
  if (status === undefined) throw new Error('There is no status.')
  return status
}

function said({ findings }: ClusterStatus): readonly string[] {
  return findings.map(({ severity, code }) => `${severity} ${code}`)
}

function unreadable(id: KeyVersion, reason: KeyUnreadable): SeenCluster['keys'] {
  return new Map<string, KeyObservation>([[id.url.toLowerCase(), { kind: 'unreadable', id, reason, message: 'No.' }]])
}

function goal(operation: string, changes: Partial<Goal> = {}): Goal {
  return { operation, kms: kmsOn(K2), fromKeyId: K1.url, kubernetesVersion: undefined, ...changes }
}

test('one with nothing to be said', () => {
  expect(statusOfOne(seenCluster('prod', 12))).toEqual({
    name: 'prod',
    id: armId('prod'),
    subscriptionId: '8ecadfc9-d1a3-4ea4-b844-0d9f87e4d7c8',
    resourceGroup: 'rg-prod-weu',
    clusterName: 'prod',
    location: 'westeurope',
    kubernetesVersion: '1.33.6',
    phase: 'ready',
    provisioningState: 'Succeeded',
    kms: 'v2',
    networkAccess: 'Public',
    keyId: K2.url,
    key: {
      createdAt: '2026-11-10T03:17:04.120Z',
      expiresAt: undefined,
      enabled: true,
      ageDays: 12,
      newerVersions: 0
    },
    dueAt: '2027-02-08T03:17:04.120Z',
    due: false,
    overdue: false,
    record: {
      provedKeyId: K2.url,
      previousKeyId: K1.url,
      provedAt: '2026-11-10T03:17:04.120Z',
      provedBy: expect.stringContaining('/actions/runs/'),
      unfinished: undefined
    },
    result: 'ok',
    findings: []
  })
})

describe('the rotation', () => {
  test.each([
    [89.99, 'ok', false, false],
    [90, 'due', true, false],
    [90.99, 'due', true, false],
    [91.01, 'overdue', true, true]
  ])('of a key version %d days old is %s', (days, result, due, overdue) => {
    expect(statusOfOne(seenCluster('prod', days))).toMatchObject({ result, due, overdue })
  })

  test('is never due without an age', () => {
    // A default parameter would take the place of undefined.
    const [status] = statusOf([seenCluster('prod', 900)], { now: LOOKED_AT, maxKeyAge: undefined })
    expect(status).toMatchObject({ due: false, overdue: false, dueAt: undefined, result: 'ok' })
  })

  test('is due at once where one is unfinished, whatever the age', () => {
    const begun = seenCluster('prod', 3, { record: { ...recordOf(K1, undefined), goal: goal('rotate') } })
    expect(statusOfOne(begun)).toMatchObject({ due: true, overdue: false, record: { unfinished: 'rotate' } })
    expect(said(statusOfOne(begun))).toEqual(['warning operation-unfinished'])
    const notYetSet = seenCluster('prod', 3, {
      record: { ...recordOf(K2, K1), goal: goal('rotate', { kms: kmsOn(K3), fromKeyId: K2.url }) }
    })
    expect(statusOfOne(notYetSet)).toMatchObject({ due: true })
  })

  test('is not due for another operation that is unfinished', () => {
    const record = { ...recordOf(K2, K1), goal: goal('disable', { kms: KMS_OFF, fromKeyId: K2.url }) }
    expect(statusOfOne(seenCluster('prod', 3, { record }))).toMatchObject({
      due: false,
      result: 'warning',
      record: { unfinished: 'disable' }
    })
  })

  test('is not due for a goal that no longer fits the cluster', () => {
    const record = { ...recordOf(K2, K1), goal: goal('rotate', { kms: kmsOn(K3), fromKeyId: K1.url }) }
    const status = statusOfOne(seenCluster('prod', 3, { record }))
    expect(status).toMatchObject({ due: false, record: { unfinished: undefined } })
    expect(said(status)).toEqual(['warning record-out-of-date'])
    expect(status.findings[0]?.message).toContain('unfinished `rotate`')
  })

  test.each(['stopped', 'deleting'] as const)('is not due on one that is %s', (phase) => {
    const status = statusOfOne(seenCluster('prod', 120, { body: { phase }, record: undefined }))
    expect(status).toMatchObject({ due: false, overdue: false, dueAt: '2026-10-23T03:17:04.120Z' })
    expect(said(status)).toEqual([phase === 'stopped' ? 'warning cluster-stopped' : 'note cluster-deleting'])
  })

  test('of a stopped one that is not due is nothing to warn of', () => {
    const status = statusOfOne(seenCluster('prod', 3, { body: { phase: 'stopped' }, record: undefined }))
    expect({ result: status.result, said: said(status) }).toEqual({ result: 'ok', said: ['note cluster-stopped'] })
  })
})

describe('the key version in use', () => {
  const withKey = (days: number, changes: Parameters<typeof keyOfAge>[2]): SeenCluster =>
    seenCluster('prod', days, { keys: readable(keyOfAge(K1, 200), keyOfAge(K2, days, changes)) })

  test.each([
    [{ enabled: false }, 'current-key-unusable'],
    [{ expires: LOOKED_AT - 1 }, 'current-key-unusable'],
    [{ notBefore: LOOKED_AT + DAY }, 'current-key-unusable'],
    [{ keyType: 'EC' }, 'key-not-rsa'],
    [{ keyOperations: ['encrypt'] }, 'key-lacks-operations']
  ])('with %j is failing', (changes, code) => {
    const status = statusOfOne(withKey(100, changes))
    expect(status).toMatchObject({ result: 'failing', due: true })
    expect(said(status)).toContain(`refusal ${code}`)
  })

  test.each([
    [10, 29, 'key-expires-before-rotation', 'before the next rotation is due on 2027-02-10'],
    [10, 79, 'key-expires-before-rotation', 'before the next rotation is due on 2027-02-10'],
    [100, 29, 'key-expires-soon', 'expires on 2026-12-21.']
  ])('%d days old that expires in %d days: %s', (age, left, code, words) => {
    const { findings } = statusOfOne(withKey(age, { expires: LOOKED_AT + left * DAY }))
    expect(findings[0]).toMatchObject({ severity: 'warning', code, message: expect.stringContaining(words) })
    expect(findings.filter((one) => one.code.startsWith('key-expires'))).toHaveLength(1)
  })

  test('that was repaired is due at once', () => {
    const repaired = withKey(10, { repaired: LOOKED_AT - 2 * DAY })
    expect(statusOfOne(repaired)).toMatchObject({ due: true, overdue: true, dueAt: '2026-11-20T03:17:04.120Z' })
  })

  test('that expires after its rotation is due, or in more than 30 days where nothing is due, is in order', () => {
    expect(statusOfOne(withKey(10, { expires: LOOKED_AT + 81 * DAY })).result).toBe('ok')
    const [status] = statusOf([withKey(10, { expires: LOOKED_AT + 31 * DAY })], {
      now: LOOKED_AT,
      maxKeyAge: undefined
    })
    expect(status?.result).toBe('ok')
  })

  test.each(['not-found', 'deleted'] as const)('that is %s is failing', (reason) => {
    const status = statusOfOne(seenCluster('prod', 12, { keys: unreadable(K2, reason) }))
    expect(status).toMatchObject({ result: 'failing', key: undefined, due: false })
    expect(said(status)).toEqual([`refusal current-key-${reason === 'deleted' ? 'unusable' : 'lost'}`])
  })

  test.each([
    ['forbidden', 'key-forbidden'],
    ['unreachable', 'key-vault-unreachable']
  ] as const)('that is %s is not known, nor when it is due', (reason, code) => {
    const versions = { kind: 'unreadable', reason, message: 'No.' } as const
    const status = statusOfOne(seenCluster('prod', 12, { keys: unreadable(K2, reason), keyVersions: versions }))
    expect(status).toMatchObject({ result: 'unknown', key: undefined, dueAt: undefined })
    expect(said(status)).toEqual([`warning ${code}`])
  })

  test('has so many newer versions that can be used', () => {
    const newer = [keyOfAge(K3, 1), keyOfAge(keyVersion(4), 0.5, { enabled: false }), keyOfAge(keyVersion(5), 0.2)]
    const versions = { kind: 'readable', versions: [keyOfAge(K1, 100), keyOfAge(K2, 12), ...newer] } as const
    const status = statusOfOne(seenCluster('prod', 12, { keyVersions: versions }))
    expect(status).toMatchObject({ result: 'ok', key: { newerVersions: 2 } })
    expect(said(status)).toEqual(['note newer-key-version'])
  })

  test('without a list of versions has an unknown number of newer ones', () => {
    const versions = { kind: 'unreadable', reason: 'forbidden', message: 'No list.' } as const
    expect(statusOfOne(seenCluster('prod', 12, { keyVersions: versions })).key?.newerVersions).toBeUndefined()
  })
})

describe('the record', () => {
  test.each<[string, Partial<SeenCluster>, readonly string[], string]>([
    ['that is missing', { record: EMPTY_RECORD }, ['warning never-proved'], 'warning'],
    ['of another key version', { record: recordOf(K1, undefined) }, ['warning record-out-of-date'], 'warning'],
    [
      'of a time without KMS',
      { record: { ...EMPTY_RECORD, provedKeyId: 'identity' } },
      ['warning record-out-of-date'],
      'warning'
    ],
    [
      'that names no previous key version',
      { record: { ...recordOf(K2, K1), previousKeyId: undefined } },
      ['note previous-key-unknown'],
      'ok'
    ],
    ['after enable', { record: recordOf(K2, undefined) }, [], 'ok'],
    [
      'that could not be read',
      { record: undefined, findings: [finding('warning', 'api-server-unreachable')] },
      ['warning api-server-unreachable'],
      'warning'
    ]
  ])('%s', (_, changes, expected, result) => {
    const status = statusOfOne(seenCluster('prod', 12, changes))
    expect({ said: said(status), result: status.result }).toEqual({ said: expected, result })
  })

  test.each([
    [{ enabled: false }, 'refusal', 'previous-key-unusable', 'is disabled'],
    [{ expires: LOOKED_AT - DAY }, 'refusal', 'previous-key-unusable', 'expired on 2026-11-21'],
    [{ expires: LOOKED_AT + 10 * DAY }, 'warning', 'key-expires-before-rotation', 'expires on 2026-12-02']
  ] as const)('whose previous key version has %j', (changes, severity, code, words) => {
    const keys = readable(keyOfAge(K1, 100, changes), keyOfAge(K2, 12))
    const [first] = statusOfOne(seenCluster('prod', 12, { keys })).findings
    expect(first).toMatchObject({ severity, code, message: expect.stringContaining(words) })
    expect(first?.message).toContain(K1.url)
  })

  test.each([
    ['deleted', ['refusal previous-key-unusable']],
    ['not-found', ['refusal previous-key-unusable']],
    ['forbidden', []]
  ] as const)('whose previous key version is %s', (reason, expected) => {
    const keys = new Map([...unreadable(K1, reason), ...readable(keyOfAge(K2, 12))])
    expect(said(statusOfOne(seenCluster('prod', 12, { keys })))).toEqual(expected)
  })

  test('that is out of date says nothing of the previous key version', () => {
    const keys = readable(keyOfAge(K1, 100, { enabled: false }), keyOfAge(K2, 12))
    const status = statusOfOne(seenCluster('prod', 12, { keys, record: recordOf(K3, K1) }))
    expect(said(status)).toEqual(['warning record-out-of-date'])
  })
})

describe('without KMS', () => {
  test('there is a note, and none on a record', () => {
    expect(statusOfOne(seenOff('dev'))).toMatchObject({ kms: 'off', result: 'off', keyId: undefined, due: false })
    expect(said(statusOfOne(seenOff('dev')))).toEqual(['note kms-off'])
  })

  test('a record of a key means that Secrets may still be under it', () => {
    expect(said(statusOfOne(seenOff('dev', { record: recordOf(K1, undefined) })))).toEqual([
      'warning record-out-of-date',
      'note kms-off'
    ])
  })

  test('after disable the key of before is looked after', () => {
    const record = { ...recordOf(K1, K1), provedKeyId: 'identity' }
    expect(said(statusOfOne(seenOff('dev', { record, keys: readable(keyOfAge(K1, 100)) })))).toEqual(['note kms-off'])
    const keys = readable(keyOfAge(K1, 100, { enabled: false }))
    expect(statusOfOne(seenOff('dev', { record, keys })).result).toBe('failing')
  })

  test('a system-assigned identity is a note; with KMS it is a warning', () => {
    const body = { identityType: 'SystemAssigned' }
    expect(said(statusOfOne(seenOff('dev', { body })))).toContain('note identity-not-user-assigned')
    expect(said(statusOfOne(seenCluster('dev', 12, { body })))).toEqual(['warning identity-not-user-assigned'])
  })
})

test('KMS v1 is told by the minor', () => {
  const old = statusOfOne(seenCluster('old', 12, { body: { kubernetesVersion: '1.26.12' } }))
  expect({ kms: old.kms, said: said(old) }).toEqual({ kms: 'v1', said: ['warning kms-v1'] })
})

test.each([
  [
    'customer-key',
    { ...kmsOn(K1), keyId: 'https://kv.vault.azure.net/keys/etcd' },
    'https://kv.vault.azure.net/keys/etcd'
  ],
  ['platform-key', KMS_OFF, undefined]
] as const)(
  'KMS data encryption under a %s has nothing to rotate, whatever the record says',
  (dataEncryption, kms, keyId) => {
    const cluster = clusterWith(kms, { dataEncryption, identityType: 'SystemAssigned', kubernetesVersion: '1.33.6' })
    const status = statusOfOne(seenOff('next', { cluster, record: recordOf(K1, undefined) }))
    expect(status).toMatchObject({ kms: 'data-encryption', keyId, due: false, result: 'ok' })
    expect(said(status)).toEqual(['note kms-data-encryption'])
  }
)

test.each([
  ['changing', 'note cluster-changing', 'ok'],
  ['failed', 'refusal cluster-failed', 'failing']
] as const)('one that is %s', (phase, expected, result) => {
  const status = statusOfOne(seenCluster('prod', 12, { body: { phase, provisioningState: 'Updating' } }))
  expect({ said: said(status), result: status.result }).toEqual({ said: [expected], result })
})

describe('a fleet', () => {
  const fleet = (): readonly ClusterStatus[] => statusOf(mixedFleet(), { now: LOOKED_AT, maxKeyAge: MAX_KEY_AGE })

  test('has the most urgent first', () => {
    expect(fleet().map(({ name, result }) => `${name} ${result}`)).toEqual([
      'shop@rg-prod-weu failing',
      'prod-neu-1 overdue',
      'prod-sea-1 due',
      'batch due',
      'payments unknown',
      'dev-1 warning',
      'legacy warning',
      'shop@rg-shop-eu warning',
      'prod-nor-1 warning',
      'sandbox off',
      'prod-weu-2 ok',
      'prod-weu-1 ok',
      'next ok'
    ])
  })

  test('has a name for each, whatever its case', () => {
    const twins = [seenCluster('Shop', 1), seenCluster('shop', 2, { body: { id: armId('shop', 'rg-eu') } })]
    const names = statusOf(twins, { now: LOOKED_AT, maxKeyAge: undefined }).map(({ name }) => name)
    expect(names.toSorted()).toEqual(['Shop@rg-prod-weu', 'shop@rg-eu'])
  })

  test('is told in one sentence', () => {
    expect(statusSentence(fleet())).toBe(
      '13 clusters: 1 failing, 1 overdue, 2 due, 1 not known in full, 4 with warnings, 1 without KMS, 3 in order.'
    )
    expect(statusSentence(fleet().slice(1, 2))).toBe('prod-neu-1 is overdue: KMS v2, key version 104 days old.')
    expect(statusSentence([])).toMatch(/no cluster/)
  })

  test('has one finding for what several share, in general words', () => {
    const seen = ['a', 'b', 'c'].map((name) => seenCluster(name, 100))
    const [grouped, ...others] = groupFindings(statusOf(seen, { now: LOOKED_AT, maxKeyAge: MAX_KEY_AGE }))
    expect(others).toEqual([])
    expect(grouped).toMatchObject({ code: 'rotation-overdue', severity: 'warning' })
    expect(grouped?.message).toBe('On 3 of 3 clusters: `a`, `b`, `c`. The rotation has been due for more than a day.')
  })

  test('has the words of the cluster for what it alone has, and the gravest first', () => {
    const findings = groupFindings(fleet())
    expect(findings.map(({ severity }) => severity)).toEqual(
      findings.map(({ severity }) => severity).toSorted((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))
    )
    expect(findings[0]?.message).toMatch(/^`shop@rg-prod-weu`: .* expired on 2026-11-21/)
  })

  test('names twenty of a large one and counts the others', () => {
    const many = statusOf(largeFleet(600), { now: LOOKED_AT, maxKeyAge: MAX_KEY_AGE })
    const overdue = groupFindings(many).find(({ code }) => code === 'rotation-overdue')
    expect(overdue?.message).toMatch(/^On 40 of 600 clusters: (`prod-\d{4}`, ){19}`prod-\d{4}` and 20 more\. /)
  })
})

const ORDER: readonly Finding['severity'][] = ['refusal', 'warning', 'note']

describe('the output', () => {
  const schema = JSON.parse(readFileSync(new URL('../../docs/clusters.schema.json', import.meta.url), 'utf8')) as object
  const validate = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schema)
  const parsed = (output: string): readonly Record<string, unknown>[] =>
    JSON.parse(output) as readonly Record<string, unknown>[]

  test('is by its schema, whole and short', () => {
    const clusters = clustersListed(statusReport(mixedFleet()))
    for (const output of [clustersOutput(clusters), clustersOutput(clusters, 1_000)]) {
      validate(parsed(output))
      expect(validate.errors ?? null).toBeNull()
      expect(parsed(output)).toHaveLength(13)
    }
    expect(Object.keys(parsed(clustersOutput(clusters, 1_000))[0] ?? {})).toEqual([
      'name',
      'subscription-id',
      'resource-group',
      'cluster-name',
      'result',
      'due',
      'overdue'
    ])
  })

  test('says what is not known by nothing', () => {
    const payments = clustersListed(statusReport(mixedFleet())).filter(({ name }) => name === 'payments')
    expect(parsed(clustersOutput(payments))[0]).toMatchObject({
      'key-created': '',
      'age-days': null,
      'due-at': '',
      due: false,
      result: 'unknown',
      findings: 'key-forbidden'
    })
  })

  test('has those that are due only, if asked', () => {
    const due = clustersListed(statusReport(mixedFleet(), { dueOnly: true })).map(({ name }) => name)
    expect(due).toEqual(['prod-neu-1', 'prod-sea-1', 'batch'])
  })

  test('of a thousand clusters fits into a job’s outputs', () => {
    const clusters = clustersListed(statusReport(largeFleet(1_000)))
    expect(clustersOutput(clusters).length).toBeLessThan(900_000)
    expect(clustersOutput(clustersListed(statusReport(largeFleet(5_000)))).length).toBeLessThan(1_000_000)
  })
})
