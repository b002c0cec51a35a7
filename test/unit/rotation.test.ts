import { describe, expect, test } from '@jest/globals'
import { EMPTY_RECORD, keyIdsBefore, type Goal } from '../../src/model/goal.ts'
import type { Observed } from '../../src/model/observed.ts'
import { makePlan } from '../../src/plan.ts'
import type { Request } from '../../src/request.ts'
import { clusterWith, DAY, keyDetails, keyVersion, kmsOn, NOW, observedWith, requestFor } from '../fixtures/observed.ts'
import { expectResumable, expectSafe, nextRun, refusals, walk } from '../fixtures/walk.ts'

const [K1, K2, K3, K4] = [keyVersion(1), keyVersion(2), keyVersion(3), keyVersion(4)]
const [D1, D2, D3, D4] = [keyDetails(K1), keyDetails(K2), keyDetails(K3), keyDetails(K4)]
const plain = requestFor('rotate')

function goal(from: typeof K1, to: typeof K1, retiring?: typeof K1): Goal {
  const rotation = { operation: 'rotate', kms: kmsOn(to), fromKeyId: from.url, kubernetesVersion: undefined }
  return retiring === undefined ? rotation : { ...rotation, retiring: retiring.url }
}

describe('retire-previous', () => {
  const retire = requestFor('rotate', { retirePrevious: true })
  const at = (id: typeof K1, keys: Parameters<typeof observedWith>[1], changes?: Parameters<typeof observedWith>[2]) =>
    observedWith(clusterWith(kmsOn(id)), keys, changes)
  const elsewhere = [keyVersion(7, 'kv-other'), keyVersion(8, 'kv-other')] as const

  test.each<[string, Request, Observed, string[]]>([
    ['two newer: the older of them, then the newer', retire, at(K1, [D3, D1, D2]), ['set 2', 'set 3']],
    ['more than two newer: the newest two', retire, at(K1, [D1, D4, D3, D2]), ['set 3', 'set 4']],
    ['one newer: that one, then a new one', retire, at(K1, [D2, D1]), ['create', 'set 2', 'set new1']],
    ['none newer: two new ones', retire, at(K2, [D1, D2]), ['create', 'create', 'set new1', 'set new2']],
    [
      'newer ones that can’t be used are passed over',
      retire,
      at(K1, [D1, D2, keyDetails(K3, { enabled: false }), keyDetails(K4, { expires: NOW })]),
      ['create', 'set 2', 'set new1']
    ],
    ['a given one, then a newer one', { ...retire, key: K2 }, at(K1, [D1, D2, D3]), ['set 2', 'set 3']],
    [
      'a given one that is the newest, then a new one',
      { ...retire, key: K2 },
      at(K1, [D1, D2]),
      ['create', 'set 2', 'set new1']
    ],
    // Not back to the one that is to be retired, although it is newer.
    [
      'a given one that is older, then a new one',
      { ...retire, key: K1 },
      at(K3, [D1, D2, D3]),
      ['create', 'set 1', 'set new1']
    ],
    [
      'one of another vault, then another one of that vault',
      { ...retire, key: elsewhere[0] },
      at(K1, [D1, D2], {
        keys: new Map(
          [D1, keyDetails(elsewhere[0]), keyDetails(elsewhere[1])].map((key) => [key.id.url, { kind: 'readable', key }])
        ),
        keyVersions: { kind: 'readable', versions: [keyDetails(elsewhere[0]), keyDetails(elsewhere[1])] }
      }),
      ['set 7', 'set 8']
    ]
  ])('%s', (_name, request, start, expected) => {
    const { steps, end } = walk(request, start)
    expect(steps.filter((step) => step !== 'prove')).toEqual(expected)
    // Before the first change, after it, and after the second.
    expect(steps.join(' ')).toMatch(/^(create )*prove set \w+ prove set \w+ prove$/)
    expect(end).toMatchObject({
      kind: 'done',
      sentence: expect.stringContaining(
        `AKS holds ${start.cluster?.kms.enabled === true ? start.cluster.kms.keyId : ''} no longer`
      )
    })
    expectSafe(request, start)
    expectResumable(request, start)
  })

  test('interrupted after the goal was set, the next run goes on to it, whether it asks for two rotations or not', () => {
    for (const start of [at(K1, [D1, D2, D3]), at(K1, [D1, D2]), at(K2, [D1, D2])]) {
      expectResumable(retire, start, ({ goal }) => (goal === undefined ? retire : plain))
      expectResumable(retire, start, ({ goal }) =>
        goal === undefined ? retire : requestFor('rotate', { maxKeyAge: 900 * DAY })
      )
    }
  })

  test('no second key change on top of an unproved first', () => {
    const start = nextRun(at(K2, [D1, D2, D3], { goal: { goal: goal(K1, K2, K1), fromEarlierRun: true } }))
    expect(walk(plain, start).steps).toEqual(['prove', 'set 3', 'prove'])
  })

  test('a second version that is there no more when its time comes is made anew', () => {
    const start = at(K2, [D1, D2], { goal: { goal: goal(K1, K2, K1), fromEarlierRun: true } })
    expect(walk(plain, start).steps).toEqual(['prove', 'create', 'set new1', 'prove'])
  })

  test('an interrupted single rotation is the first of the two', () => {
    const unproved = at(K2, [D1, D2, D3], { goal: { goal: goal(K1, K2), fromEarlierRun: true } })
    const { steps, end } = walk(retire, unproved)
    expect(steps).toEqual(['prove', 'set 3', 'prove'])
    expect(end).toMatchObject({ sentence: expect.stringContaining(`AKS holds ${K1.url} no longer`) })
    expectResumable(retire, unproved)
    // What follows is in the record before the proof, so that the next run goes on to it although it does not ask.
    expectResumable(retire, unproved, ({ goal }) => (goal?.goal.retiring === undefined ? retire : plain))

    const unset = at(K1, [D1, D2, D3], { goal: { goal: goal(K1, K2), fromEarlierRun: true } })
    expect(walk(retire, unset).steps).toEqual(['prove', 'set 2', 'prove', 'set 3', 'prove'])
  })

  test('a second rotation under way is finished, and no third one made', () => {
    const start = at(K3, [D1, D2, D3, D4], { goal: { goal: goal(K2, K3, K1), fromEarlierRun: true } })
    for (const request of [plain, retire, { ...retire, key: K2 }]) {
      const { steps, end } = walk(request, start)
      expect(steps).toEqual(['prove'])
      expect(end).toMatchObject({ sentence: expect.stringContaining(`AKS holds ${K1.url} no longer`), findings: [] })
    }
    expect(walk({ ...retire, key: K4 }, start).end).toMatchObject({ findings: [{ code: 'key-not-reached' }] })
  })

  test('a first version that can’t be used any more is chosen anew, and two rotations stay two', () => {
    const start = at(K1, [D1, keyDetails(K2, { enabled: false }), D3, D4], {
      goal: { goal: goal(K1, K2, K1), fromEarlierRun: true }
    })
    expect(walk(plain, start).steps).toEqual(['prove', 'set 3', 'prove', 'set 4', 'prove'])
  })

  test('the key version in use, if asked for, is only proved', () => {
    expect(walk({ ...retire, key: K1 }, at(K1, [D1, D2, D3])).steps).toEqual(['prove'])
  })

  test('is refused before the first rotation where the second could not be made', () => {
    const unreadable = { keyVersions: { kind: 'unreadable', reason: 'unreachable', message: 'no' } } as const
    expect(refusals(retire, at(K1, [D1], unreadable))).toEqual(['key-vault-unreachable'])
    expect(refusals({ ...retire, key: K2 }, at(K1, [D1, D2], unreadable))).toEqual(['key-vault-unreachable'])
    const wrapping = keyDetails(K3, { keyOperations: ['wrapKey', 'unwrapKey'] })
    expect(refusals(retire, at(K1, [D1, D2, wrapping]))).toEqual(['key-lacks-operations'])
  })

  test('the plan shows both rotations, and how it ends', () => {
    const { plan } = makePlan(retire, at(K2, [D1, D2]))
    const version = (words: string): string => `kv-platform/etcd ${words} (Public)`
    expect(plan.steps.map(({ title }) => title).filter((title) => /^(Make|Set)/.test(title))).toEqual([
      'Make a new version of the key https://kv-platform.vault.azure.net/keys/etcd',
      'Make a new version of the key https://kv-platform.vault.azure.net/keys/etcd',
      `Set the cluster’s KMS profile: ${version(`version ${K2.version}`)} → ${version('the new version')}`,
      `Set the cluster’s KMS profile: ${version('the new version')} → ${version('the new version 2')}`
    ])
    expect(plan.steps.filter(({ kind }) => kind === 'prove-secrets')).toHaveLength(3)
    expect(plan.sentence).toContain(K2.url)
  })

  test('with max-key-age a young key version is left alone', () => {
    expect(walk({ ...retire, maxKeyAge: 900 * DAY }, at(K1, [D1, D2, D3])).steps).toEqual([])
  })
})

describe('the key versions before the one in use', () => {
  const record = { ...EMPTY_RECORD, provedKeyId: K2.url, previousKeyId: K1.url }

  test.each([
    ['as proved', record, K2, [K1]],
    ['after a rotation that is not proved yet', { ...record, goal: goal(K2, K3) }, K3, [K2, K1]],
    ['after two, of which the first was not recorded as proved', { ...record, goal: goal(K3, K4) }, K4, [K3]],
    ['before a rotation', { ...record, goal: goal(K2, K3) }, K2, [K1]],
    ['after somebody else’s rotation', record, K3, []],
    ['after one from no key', { ...EMPTY_RECORD, provedKeyId: 'identity', previousKeyId: K1.url }, K2, []],
    ['where KMS was off before', { ...record, previousKeyId: 'identity' }, K2, []]
  ])('%s', (_name, recorded, current, expected) => {
    expect(keyIdsBefore(recorded, current.url)).toEqual(expected.map(({ url }) => url))
  })
})
