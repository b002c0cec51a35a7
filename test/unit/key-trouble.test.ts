import { describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import type { Finding } from '../../src/model/finding.ts'
import { EMPTY_RECORD } from '../../src/model/goal.ts'
import type { KeyDefect, KeyDetails, KeyObservation } from '../../src/model/key.ts'
import type { ObservedCluster } from '../../src/model/observed.ts'
import { decide } from '../../src/operations/decide.ts'
import { checkKeysHeld } from '../../src/preflight/keys-held.ts'
import { bind } from '../../src/steps/steps.ts'
import type { Request } from '../../src/request.ts'
import { clusterWith, DAY, keyDetails, keyVersion, kmsOn, NOW, observedWith, requestFor } from '../fixtures/observed.ts'
import { expectResumable, expectSafe, nextRun, refusals, walk } from '../fixtures/walk.ts'

const [K1, K2, K3] = [keyVersion(1), keyVersion(2), keyVersion(3)]
const [D2, D3] = [keyDetails(K2), keyDetails(K3)]
const rotate = requestFor('rotate')
const repair = requestFor('rotate', { repair: true })

/** The first version is in use, and broken. */
const BROKEN: readonly [string, Partial<KeyDetails>, KeyDefect[], RegExp][] = [
  ['expired', { expires: NOW - DAY }, ['expired'], /expired on 2026-11-21 00:00 UTC/],
  [
    'disabled',
    { enabled: false, updated: NOW - DAY },
    ['disabled'],
    /is disabled since 2026-11-21 00:00 UTC at the latest/
  ],
  ['not yet valid', { notBefore: NOW + DAY }, ['not-yet-valid'], /is not valid before 2026-11-23 00:00 UTC/],
  [
    'disabled and expired',
    { enabled: false, expires: NOW },
    ['disabled', 'expired'],
    /is disabled and expired on 2026-11-22 00:00 UTC/
  ]
]

function withBroken(changes: Partial<KeyDetails>, more: Partial<ObservedCluster> = {}): ObservedCluster {
  return observedWith(clusterWith(kmsOn(K1)), [keyDetails(K1, changes), D2], more)
}

/** The key is deleted with all its versions, which Key Vault lists on. */
function withDeleted(reason: 'deleted' | 'not-found' = 'deleted'): ObservedCluster {
  const unreadable: KeyObservation = {
    kind: 'unreadable',
    id: K1,
    reason,
    message: 'The key etcd was deleted on 2026-11-20 10:00 UTC.'
  }
  return observedWith(clusterWith(kmsOn(K1)), [keyDetails(K1), D2], {
    keys: new Map<string, KeyObservation>([
      [K1.url, unreadable],
      [K2.url, { kind: 'readable', key: D2 }]
    ])
  })
}

describe('a key version in use that can’t be used any more', () => {
  test.each(BROKEN)(
    '%s: refused, with what is wrong, since when, what it does, and the way out',
    (_name, changes, _defects, words) => {
      const decision = decide(rotate, withBroken(changes))
      const [found] = decision.kind === 'refused' ? decision.findings : []
      expect(found).toMatchObject({
        severity: 'refusal',
        code: 'current-key-unusable',
        fix: expect.stringContaining('repair: true')
      })
      expect(found?.message).toMatch(words)
      expect(found?.message).toContain(K1.url)
      expect(found?.message).toContain('no API server can write a Secret')
    }
  )

  test.each(BROKEN)('%s: repaired where that is asked for, then rotated off', (_name, changes, defects) => {
    const start = withBroken(changes)
    expect(decide(repair, start)).toEqual({
      kind: 'step',
      step: { kind: 'repair-key', keyId: K1.url, defects, validFor: 90 * DAY }
    })
    expect(walk(repair, start).steps).toEqual(['repair', 'prove', 'set 2', 'prove'])
    expectSafe(repair, start)
    expectResumable(repair, start)
    // Once it is repaired, nothing more is needed to go on than to run the rotation again.
    expectResumable(repair, start, ({ keys }) => (isRepaired(keys.get(K1.url)) ? rotate : repair))
  })

  test('deleted: told when, and recovered where that is asked for', () => {
    expect(decide(rotate, withDeleted())).toMatchObject({
      findings: [{ code: 'current-key-unusable', message: expect.stringContaining('deleted on 2026-11-20 10:00 UTC') }]
    })
    expect(decide(repair, withDeleted())).toMatchObject({ step: { kind: 'repair-key', defects: ['deleted'] } })
    expect(walk(repair, withDeleted()).steps).toEqual(['repair', 'prove', 'set 2', 'prove'])
    expectResumable(repair, withDeleted())
  })

  test('purged: nothing can be repaired, and nothing must be changed', () => {
    for (const request of [rotate, repair, { ...rotate, key: K2 }, requestFor('disable')]) {
      expect(refusals(request, withDeleted('not-found'))).toEqual(['current-key-lost'])
    }
  })

  test('comes before the state that it has brought the cluster into', () => {
    for (const phase of ['changing', 'failed', 'stopped'] as const) {
      const start = withBroken({ expires: NOW })
      const ill = { ...start, cluster: { ...start.cluster, phase } }
      expect(refusals(rotate, ill)).toEqual(['current-key-unusable'])
      expect(decide(repair, ill)).toMatchObject({ step: { kind: 'repair-key' } })
    }
  })

  test('a cluster that has failed with it is rotated off it once it is repaired; one that is stopped has to be started', () => {
    const start = withBroken({ expires: NOW })
    const failed = { ...start, cluster: { ...start.cluster, phase: 'failed' } as const }
    expect(walk(repair, failed).steps).toEqual(['repair', 'prove', 'set 2', 'prove'])
    const stopped = { ...start, cluster: { ...start.cluster, phase: 'stopped' } as const }
    expect(walk(repair, stopped).end).toMatchObject({ kind: 'refused', findings: [{ code: 'cluster-stopped' }] })
  })

  test('API servers that are not ready since are waited for, by the next run too', () => {
    const start = withBroken({ expires: NOW }, { apiServersReady: false })
    expect(walk(repair, start).steps).toEqual(['repair', 'wait', 'prove', 'set 2', 'prove'])
    const repaired = nextRun(
      bind({ kind: 'repair-key', keyId: K1.url, defects: ['expired'], validFor: DAY }).predict(start)
    )
    expect(walk(rotate, repaired).steps).toEqual(['wait', 'prove', 'set 2', 'prove'])
  })

  test('API servers that are not ready because of the previous key version: it is repaired too, or refused', () => {
    const record = { ...EMPTY_RECORD, provedKeyId: K2.url, previousKeyId: K1.url }
    const keys = [keyDetails(K2, { repaired: NOW }), keyDetails(K1, { expires: NOW - DAY }), D3]
    const start = observedWith(clusterWith(kmsOn(K2)), keys, { record, apiServersReady: false })
    expect(decide(repair, start)).toMatchObject({ step: { kind: 'repair-key', keyId: K1.url, defects: ['expired'] } })
    expect(walk(repair, start).steps).toEqual(['repair', 'wait', 'prove', 'set 3', 'prove'])
    expect(refusals(rotate, start)).toEqual(['previous-key-unusable'])
    // Where they are ready, a rotation makes AKS let go of it.
    expect(walk(rotate, { ...start, apiServersReady: true }).steps).toEqual(['prove', 'set 3', 'prove'])
  })

  test('repaired, it is due at once, and lasts until it may be retired', () => {
    const request = { ...repair, maxKeyAge: 400 * DAY }
    const start = withBroken({ expires: NOW })
    expect(decide(request, start)).toMatchObject({ step: { validFor: 430 * DAY } })
    expect(walk(request, start).steps).toEqual(['repair', 'prove', 'set 2', 'prove'])
    expectResumable(request, start)
  })

  test('both rotations follow where the one that was repaired is to be retired', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [keyDetails(K1, { expires: NOW }), D2, D3])
    const request = { ...repair, retirePrevious: true }
    expect(walk(request, start).steps).toEqual(['repair', 'prove', 'set 2', 'prove', 'set 3', 'prove'])
    expectResumable(request, start)
  })

  test('nothing is repaired that is not broken', () => {
    expect(walk(repair, withBroken({})).steps).toEqual(['prove', 'set 2', 'prove'])
  })

  test('no operation changes the profile over it, and those that change nothing go on', () => {
    const start = withBroken({ enabled: false })
    expect(refusals(requestFor('disable'), start)).toEqual(['current-key-unusable'])
    expect(walk(requestFor('re-encrypt'), start).end.kind).toBe('done')
    expect(walk(requestFor('enable', { key: K1 }), start).end.kind).toBe('done')
  })
})

describe('the two key versions that AKS holds', () => {
  const record = { ...EMPTY_RECORD, provedKeyId: K2.url, previousKeyId: K1.url }
  const held = (current: Partial<KeyDetails>, previous: Partial<KeyDetails>, more: Partial<ObservedCluster> = {}) =>
    observedWith(clusterWith(kmsOn(K2)), [keyDetails(K2, current), keyDetails(K1, previous)], { record, ...more })
  const found = (request: Request, observed: ObservedCluster): readonly Finding[] => checkKeysHeld(request, observed)
  const codes = (request: Request, observed: ObservedCluster): Code[] =>
    found(request, observed).map(({ code }) => code)

  test('are nothing to speak of while they work', () => {
    expect(codes(rotate, held({}, {}))).toEqual([])
    expect(codes(requestFor('rotate', { maxKeyAge: 900 * DAY }), held({}, {}))).toEqual([])
  })

  test.each([
    ['expired', { expires: NOW }, '--expires <UTC time>`'],
    ['disabled', { enabled: false }, '--enabled true`'],
    ['not yet valid', { notBefore: NOW + 1 }, '--not-before <UTC time>`'],
    ['disabled and expired', { enabled: false, expires: NOW }, '--enabled true --expires <UTC time>`']
  ])('the previous one %s: a warning with its fix', (_name, changes, options) => {
    const [warning, ...others] = found(rotate, held({}, changes))
    expect(others).toEqual([])
    expect(warning).toMatchObject({
      severity: 'warning',
      code: 'previous-key-unusable',
      message: expect.stringContaining(K1.url)
    })
    expect(warning?.fix).toContain(`az keyvault key set-attributes --id ${K1.url} ${options}; or run \`rotate\``)
  })

  test('the previous one deleted, or gone for good', () => {
    const withPrevious = (reason: 'deleted' | 'not-found'): ObservedCluster =>
      held(
        {},
        {},
        {
          keys: new Map<string, KeyObservation>([
            [K2.url, { kind: 'readable', key: D2 }],
            [K1.url, { kind: 'unreadable', id: K1, reason, message: 'gone' }]
          ])
        }
      )
    expect(found(rotate, withPrevious('deleted'))).toMatchObject([
      {
        code: 'previous-key-unusable',
        fix: expect.stringContaining('`az keyvault key recover --vault-name kv-platform --name etcd`; or run')
      }
    ])
    expect(found(rotate, withPrevious('not-found'))).toMatchObject([
      { code: 'previous-key-unusable', fix: expect.stringMatching(/^Run `rotate`/) }
    ])
  })

  test('of which the record knows nothing are not spoken of', () => {
    expect(codes(rotate, held({}, { enabled: false }, { record: EMPTY_RECORD }))).toEqual([])
  })

  test('the one in use is a warning, for operations that go on', () => {
    expect(codes(requestFor('re-encrypt'), held({ enabled: false }, {}))).toEqual(['current-key-unusable'])
  })

  test('one that expires before the next rotation is due: a warning with both dates', () => {
    const request = requestFor('rotate', { maxKeyAge: NOW - D2.created + 10 * DAY })
    expect(codes(request, held({ expires: NOW + 11 * DAY }, { expires: NOW + 11 * DAY }))).toEqual([])
    expect(found(request, held({ expires: NOW + 10 * DAY }, { expires: NOW + DAY }))).toMatchObject([
      {
        severity: 'warning',
        code: 'key-expires-before-rotation',
        message: `The key version in use expires on 2026-12-02 00:00 UTC, before the next rotation is due on 2026-12-02 00:00 UTC: ${K2.url}.`
      },
      { message: expect.stringContaining(`which AKS still holds, expires on 2026-11-23 00:00 UTC, before the next`) }
    ])
    // A rotation that is due takes it out of use.
    expect(codes(requestFor('rotate', { maxKeyAge: DAY }), held({ expires: NOW + DAY }, {}))).toEqual([])
    expect(codes(rotate, held({ expires: NOW + DAY }, {}))).toEqual([])
  })

  test.each<[string | undefined, number | undefined, boolean]>([
    [undefined, undefined, false],
    ['P90D', undefined, true],
    ['P1Y', undefined, true],
    ['P90D', 90, true],
    ['P90D', 45, true],
    ['P90D', 44, false],
    ['P2Y', 90, false],
    ['P1Y6M', 300, true],
    ['whatever', undefined, false]
  ])('by a rotation policy of %s and rotations every %s days: a warning is %s', (expiresAfter, days, warned) => {
    const request = days === undefined ? rotate : requestFor('rotate', { maxKeyAge: days * DAY })
    const warnings = found(request, held({}, {}, { rotationPolicy: { expiresAfter } }))
    expect(warnings.map(({ code }) => code)).toEqual(warned ? ['key-policy-expires-versions'] : [])
  })

  test('the warning of a policy says how often to rotate', () => {
    const [warning] = found(rotate, held({}, {}, { rotationPolicy: { expiresAfter: 'P90D' } }))
    expect(warning?.message).toContain('expires 90 days after its creation')
    expect(warning?.fix).toContain('`max-key-age` below 45d')
  })
})

function isRepaired(key: KeyObservation | undefined): boolean {
  return key?.kind === 'readable' && key.key.repaired !== undefined
}
