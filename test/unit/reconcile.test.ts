import { describe, expect, test } from '@jest/globals'
import { EMPTY_RECORD, type ClusterRecord, type Goal } from '../../src/model/goal.ts'
import type { DesiredCluster } from '../../src/model/desired-cluster.ts'
import { parseKey, type Key } from '../../src/model/key-id.ts'
import { KMS_OFF, type KmsProfile } from '../../src/model/kms-profile.ts'
import type { Observed, ObservedCluster } from '../../src/model/observed.ts'
import type { Decision } from '../../src/model/step.ts'
import { decide } from '../../src/operations/decide.ts'
import { bind } from '../../src/steps/steps.ts'
import {
  clusterWith,
  DAY,
  keyDetails,
  keyVersion,
  kmsOn,
  NOW,
  observedWith,
  requestFor,
  vaultWith
} from '../fixtures/observed.ts'

const [K1, K2, K3] = [keyVersion(1), keyVersion(2), keyVersion(3)]
const KEYS = [keyDetails(K1), keyDetails(K2)]
const ETCD = versionless('kv-platform')

function versionless(vault: string): Key {
  const key = parseKey(`https://${vault}.vault.azure.net/keys/etcd`, 'vault.azure.net')
  if (typeof key === 'string') throw new Error(key)
  return key
}

function wanting(changes: Partial<DesiredCluster>) {
  const request = requestFor('reconcile')
  if (request.cluster === undefined) throw new Error('no cluster')
  return requestFor('reconcile', {
    desired: {
      name: 'prod',
      cluster: request.cluster,
      enabled: true,
      key: ETCD,
      networkAccess: 'Public',
      vaultResourceId: undefined,
      maxKeyAge: undefined,
      environment: undefined,
      ...changes
    }
  })
}

const OFF = wanting({ enabled: false, key: undefined })

function observed(kms: KmsProfile, record: Partial<ClusterRecord> = {}, changes: Partial<ObservedCluster> = {}) {
  return observedWith(clusterWith(kms), KEYS, {
    record: { ...EMPTY_RECORD, ...record },
    goal: record.goal && { goal: record.goal, fromEarlierRun: true },
    keyVersions: { kind: 'readable', versions: KEYS },
    ...changes
  })
}

function goalOf(operation: string, kms: KmsProfile, fromKeyId?: string): Goal {
  return { operation, kms, fromKeyId, kubernetesVersion: undefined }
}

/** The steps to the end, in short, and how it ends. What a step records is seen in the next round, as in a run. */
function walk(request: ReturnType<typeof wanting>, start: Observed): { steps: string[]; end: Decision } {
  const steps: string[] = []
  let state = start
  for (let i = 0; i < 20; i++) {
    const decision = decide(request, state)
    if (decision.kind !== 'step') return { steps, end: decision }
    const { step } = decision
    state = bind(step).predict(state)
    if (step.kind === 'prove-secrets') {
      const kms = state.cluster?.kms
      const provedKeyId = kms?.enabled === true ? kms.keyId : 'identity'
      state = { ...state, record: { ...state.record, provedKeyId } }
      steps.push('prove')
    } else if (step.kind === 'set-kms-profile') {
      steps.push(step.profile.enabled ? `set ${step.profile.keyId.slice(-1)}` : 'off')
    } else if (step.kind !== 'record-goal') {
      steps.push(step.kind)
    }
  }
  throw new Error(`no end: ${steps.join(', ')}`)
}

const proved = (id: { readonly url: string }): Partial<ClusterRecord> => ({ provedKeyId: id.url })

describe('wanted off', () => {
  test('switches KMS off', () => {
    const { steps, end } = walk(OFF, observed(kmsOn(K1), proved(K1)))
    expect(steps).toEqual(['prove', 'off', 'prove'])
    expect(end).toMatchObject({ sentence: expect.stringContaining('KMS etcd encryption is off') })
  })

  test('leaves the Secrets alone where the record says that they are under no key', () => {
    const { steps, end } = walk(OFF, observed(KMS_OFF, { provedKeyId: 'identity' }))
    expect([steps, end]).toEqual([
      [],
      expect.objectContaining({ sentence: expect.stringContaining('nothing was touched') })
    ])
  })

  test('proves where the record does not say so', () => {
    expect(walk(OFF, observed(KMS_OFF, proved(K1))).steps).toEqual(['prove'])
  })

  test('finishes an interrupted disable', () => {
    const { steps, end } = walk(OFF, observed(KMS_OFF, { goal: goalOf('disable', KMS_OFF, K1.url), ...proved(K1) }))
    expect([steps, end]).toEqual([
      ['prove'],
      expect.objectContaining({ sentence: expect.stringContaining('Finished') })
    ])
  })
})

describe('wanted on, while it is off', () => {
  test.each([
    ['a version', K1, 'set 1'],
    ['a key: its newest version', ETCD, 'set 2']
  ])('with %s', (_, key, set) => {
    expect(walk(wanting({ key }), observed(KMS_OFF)).steps).toEqual(['prove', set, 'prove'])
  })

  test('refuses a key without a usable version', () => {
    const none = observed(
      KMS_OFF,
      {},
      { keyVersions: { kind: 'readable', versions: [{ ...keyDetails(K1), enabled: false }] } }
    )
    expect(decide(wanting({}), none)).toMatchObject({
      kind: 'refused',
      findings: [{ code: 'key-not-found', message: `${ETCD.url} has no version that can be used now.` }]
    })
  })

  test('refuses a key whose versions can’t be read, and says why', () => {
    const unread = observed(
      KMS_OFF,
      {},
      { keyVersions: { kind: 'unreadable', reason: 'forbidden', message: 'No role.' } }
    )
    expect(decide(wanting({}), unread)).toMatchObject({ findings: [{ code: 'key-forbidden', message: 'No role.' }] })
  })
})

describe('wanted on, and on', () => {
  test('touches nothing where the record says that the Secrets are proved', () => {
    for (const key of [K2, ETCD]) {
      const { steps, end } = walk(wanting({ key }), observed(kmsOn(K2), proved(K2)))
      expect([steps, end]).toEqual([
        [],
        expect.objectContaining({ sentence: expect.stringContaining('nothing was touched') })
      ])
    }
  })

  test.each([
    ['no record', {}],
    ['a record of another version', proved(K1)],
    ['a goal that was given up', { ...proved(K2), goal: goalOf('rotate', kmsOn(K3), K2.url) }]
  ])('proves with %s', (_, record) => {
    const { steps, end } = walk(wanting({ key: K2 }), observed(kmsOn(K2), record))
    expect([steps, end]).toEqual([
      ['prove'],
      expect.objectContaining({ sentence: expect.stringContaining('is proved') })
    ])
  })

  test('rotates to another version', () => {
    expect(walk(wanting({ key: K2 }), observed(kmsOn(K1), proved(K1))).steps).toEqual(['prove', 'set 2', 'prove'])
  })

  test('follows a key without a version to its newest, and ends as a rotation does', () => {
    const { steps, end } = walk(wanting({}), observed(kmsOn(K1), proved(K1)))
    expect([steps, end]).toEqual([
      ['prove', 'set 2', 'prove'],
      expect.objectContaining({ sentence: expect.stringContaining('The key is rotated') })
    ])
  })

  test('does not go back where the newest version is disabled', () => {
    const versions = [keyDetails(K1), keyDetails(K2, { enabled: false })]
    const state = observed(kmsOn(K2), proved(K2), { keyVersions: { kind: 'readable', versions } })
    expect(walk(wanting({}), state).steps).toEqual([])
  })

  test('rotates to another key', () => {
    const other = keyVersion(3, 'kv-other')
    const state = observed(kmsOn(K1), proved(K1), {
      keys: new Map([K1, other].map((id) => [id.url.toLowerCase(), { kind: 'readable', key: keyDetails(id) }])),
      keyVersions: { kind: 'readable', versions: [keyDetails(other)] }
    })
    for (const key of [other, versionless('kv-other')])
      expect(walk(wanting({ key }), state).steps).toEqual(['prove', 'set 3', 'prove'])
  })

  describe('in the other mode of the same vault', () => {
    const vault = vaultWith()
    const inPrivate = wanting({ key: K2, networkAccess: 'Private', vaultResourceId: vault.id })
    const vaults = new Map([[vault.url, { kind: 'readable', vault }] as const])
    const cluster = { ...clusterWith(kmsOn(K2)), vnetIntegration: true }

    test('changes the mode', () => {
      const { steps, end } = walk(inPrivate, observed(kmsOn(K2), proved(K2), { cluster, vaults }))
      expect(steps).toEqual(['prove', 'off', 'prove', 'set-vault-network-access', 'set 2', 'prove'])
      expect(end).toMatchObject({ sentence: expect.stringContaining('AKS reaches the vault by a private endpoint') })
    })

    test('and to the version that is wanted, at once', () => {
      const state = observed(kmsOn(K1), proved(K1), { cluster: { ...cluster, kms: kmsOn(K1) }, vaults })
      const { steps, end } = walk(inPrivate, state)
      expect(steps).toEqual(['prove', 'off', 'prove', 'set-vault-network-access', 'set 2', 'prove'])
      expect(end).toMatchObject({ sentence: expect.stringContaining(`every Secret is encrypted under ${K2.url}.`) })
    })

    test('and stays on the present version where a newer one is not due', () => {
      const undue = wanting({ networkAccess: 'Private', vaultResourceId: vault.id, maxKeyAge: 900 * DAY })
      const state = observed(kmsOn(K1), proved(K1), { cluster: { ...cluster, kms: kmsOn(K1) }, vaults })
      expect(walk(undue, state).steps).toContain('set 1')
    })

    test('goes on with it where KMS is off on the way, rather than to enable', () => {
      const goal = goalOf(
        'change-vault-mode',
        { ...kmsOn(K2), networkAccess: 'Private', vaultResourceId: vault.id },
        K2.url
      )
      const state = observed(
        KMS_OFF,
        { provedKeyId: 'identity', goal },
        { cluster: { ...cluster, kms: KMS_OFF }, vaults }
      )
      expect(walk(inPrivate, state).steps).toEqual(['prove', 'set-vault-network-access', 'set 2', 'prove'])
    })
  })

  test('finishes an interrupted enable or rotation with its own sentence', () => {
    for (const operation of ['enable', 'rotate']) {
      const { steps, end } = walk(
        wanting({ key: K2 }),
        observed(kmsOn(K2), { goal: goalOf(operation, kmsOn(K2)), ...proved(K1) })
      )
      expect([operation, steps, end]).toEqual([
        operation,
        ['prove'],
        expect.objectContaining({ sentence: expect.stringContaining('Finished the interrupted') })
      ])
    }
  })

  test('goes on with an interrupted rotation that has not set its version yet', () => {
    const record = { ...proved(K1), goal: goalOf('rotate', kmsOn(K2), K1.url) }
    expect(walk(wanting({}), observed(kmsOn(K1), record)).steps).toEqual(['prove', 'set 2', 'prove'])
  })
})

describe('by age', () => {
  const age = NOW - keyDetails(K2).created

  test('rotates to a new version when it is due', () => {
    const { steps, end } = walk(wanting({ maxKeyAge: age - DAY }), observed(kmsOn(K2), proved(K2)))
    expect(steps).toEqual(['create-key-version', 'prove', 'set 1', 'prove'])
    expect(end).toMatchObject({ sentence: expect.stringContaining('The key is rotated') })
  })

  test('rotates to the newest version when it is due', () => {
    expect(walk(wanting({ maxKeyAge: age - DAY }), observed(kmsOn(K1), proved(K1))).steps).toEqual([
      'prove',
      'set 2',
      'prove'
    ])
  })

  test('touches nothing before, and says when', () => {
    const { steps, end } = walk(wanting({ maxKeyAge: age + DAY }), observed(kmsOn(K2), proved(K2)))
    expect([steps, end]).toEqual([
      [],
      expect.objectContaining({ sentence: expect.stringContaining('Not due until 2026-11-23') })
    ])
  })

  test('proves before where the record does not say that it is', () => {
    const { steps, end } = walk(wanting({ maxKeyAge: age + DAY }), observed(kmsOn(K2), proved(K1)))
    expect([steps, end]).toEqual([
      ['prove'],
      expect.objectContaining({ sentence: expect.stringContaining('is proved') })
    ])
  })
})
