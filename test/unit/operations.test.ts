import { describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import { changesKms, OPERATIONS } from '../../src/model/operation.ts'
import type { ApiServerAccess, NodePool } from '../../src/model/cluster.ts'
import { KMS_OFF } from '../../src/model/kms-profile.ts'
import type { Observed } from '../../src/model/observed.ts'
import { decide } from '../../src/operations/decide.ts'
import { slowUnderKmsV1 } from '../../src/preflight/kms-v1-secrets.ts'
import { explainUnreachable } from '../../src/preflight/unreachable.ts'
import type { Request } from '../../src/request.ts'
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
import { expectResumable, expectSafe, refusals, walk } from '../fixtures/walk.ts'

const K1 = keyVersion(1)
const K2 = keyVersion(2)
const K3 = keyVersion(3)
const [D1, D2, D3] = [keyDetails(K1), keyDetails(K2), keyDetails(K3)]

function poolOf(name: string, kubernetesVersion: string, upgrades?: readonly string[]): NodePool {
  return { name, kubernetesVersion, provisioningState: 'Succeeded', upgrades }
}

describe('enable', () => {
  const request = requestFor('enable', { key: K1 })

  test('proves, sets the profile, and proves', () => {
    const { steps, end } = walk(request, observedWith(clusterWith(), [D1]))
    expect(steps).toEqual(['prove', 'set 1', 'prove'])
    expect(end.kind).toBe('done')
  })

  test('already on with the same key version: proves only', () => {
    const { steps, end } = walk(request, observedWith(clusterWith(kmsOn(K1)), [D1]))
    expect(steps).toEqual(['prove'])
    expect(end).toMatchObject({ kind: 'done', sentence: expect.stringContaining('already on') })
  })

  test('is refused where another key is in use', () => {
    expect(refusals(request, observedWith(clusterWith(kmsOn(K2)), [D1, D2]))).toEqual(['kms-on-with-another-key'])
  })

  test('another vault’s key is a rotation too, whatever its mode', () => {
    const other = requestFor('enable', {
      key: keyVersion(1, 'kv-other'),
      networkAccess: 'Private',
      vaultResourceId: '/x'
    })
    expect(refusals(other, observedWith(clusterWith(kmsOn(K1)), [D1]))).toEqual(['kms-on-with-another-key'])
  })

  test('the attached vault in the other mode is refused', () => {
    const other = requestFor('enable', { key: K1, networkAccess: 'Private', vaultResourceId: '/x' })
    expect(refusals(other, observedWith(clusterWith(kmsOn(K1)), [D1]))).toEqual(['vault-mode-differs'])
  })

  test.each<[string, Parameters<typeof keyDetails>[1], Code]>([
    ['EC', { keyType: 'EC' }, 'key-not-rsa'],
    ['without decrypt', { keyOperations: ['encrypt', 'wrapKey'] }, 'key-lacks-operations'],
    ['disabled', { enabled: false }, 'key-disabled'],
    ['expired', { expires: NOW }, 'key-expired'],
    ['not yet valid', { notBefore: NOW + 1 }, 'key-not-yet-valid']
  ])('a key that is %s is refused before anything is changed', (_name, changes, code) => {
    expect(refusals(request, observedWith(clusterWith(), [keyDetails(K1, changes)]))).toEqual([code])
  })

  test('an RSA-HSM key is taken', () => {
    expect(walk(request, observedWith(clusterWith(), [keyDetails(K1, { keyType: 'RSA-HSM' })])).end.kind).toBe('done')
  })

  test('a system-assigned identity is refused', () => {
    const cluster = clusterWith(KMS_OFF, { identityType: 'SystemAssigned' })
    expect(refusals(request, observedWith(cluster, [D1]))).toEqual(['identity-not-user-assigned'])
  })
})

describe('rotate', () => {
  test('is refused where KMS is off', () => {
    expect(refusals(requestFor('rotate'), observedWith(clusterWith()))).toEqual(['kms-off'])
  })

  test('goes to the newest version of the key when the cluster is behind it', () => {
    const { steps } = walk(requestFor('rotate'), observedWith(clusterWith(kmsOn(K1)), [D3, D1, D2]))
    expect(steps).toEqual(['prove', 'set 3', 'prove'])
  })

  test('passes over versions that can’t be used', () => {
    const versions = [D1, D2, keyDetails(K3, { enabled: false })]
    expect(walk(requestFor('rotate'), observedWith(clusterWith(kmsOn(K1)), versions)).steps).toEqual([
      'prove',
      'set 2',
      'prove'
    ])
  })

  test('makes a version when the cluster has the newest', () => {
    const { steps } = walk(requestFor('rotate'), observedWith(clusterWith(kmsOn(K3)), [D1, D2, D3]))
    expect(steps).toEqual(['create', 'prove', 'set new1', 'prove'])
  })

  test('makes one version only, also when the vault shows it as no newer than the one in use', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [D1])
    const made = keyDetails(K2, { created: D1.created })
    const next = { ...observedWith(clusterWith(kmsOn(K1)), [made, D1]), madeKeyIds: [K2.url] }
    expect(decide(requestFor('rotate'), start)).toMatchObject({ step: { kind: 'create-key-version' } })
    expect(walk(requestFor('rotate'), next).steps).toEqual(['prove', 'set 2', 'prove'])
  })

  test('makes a version to get away from a current one that is about to expire', () => {
    const start = observedWith(clusterWith(kmsOn(K2)), [D1, keyDetails(K2, { expires: NOW + DAY })])
    expect(walk(requestFor('rotate'), start).steps).toEqual(['create', 'prove', 'set new1', 'prove'])
    const newer = { ...start, ...observedWith(clusterWith(kmsOn(K2)), [D2, keyDetails(K3, { expires: NOW + DAY })]) }
    expect(refusals(requestFor('rotate'), newer)).toEqual(['key-expires-soon'])
  })

  test('makes no version where it can’t be made, or can’t be used', () => {
    const start = observedWith(clusterWith(kmsOn(K3)), [D1, D2, D3], { assignIdentity: 'missing' })
    expect(refusals(requestFor('rotate'), start)).toEqual(['identity-assign-forbidden'])
    const dataPlane = { kind: 'unreachable', message: 'It does not answer.' } as const
    expect(refusals(requestFor('rotate'), { ...start, assignIdentity: 'granted', dataPlane })).toEqual([
      'data-plane-unreachable'
    ])
  })

  test('a Private vault is attached by its own id: as it was named, as the cluster has it, or as it was found', () => {
    const attached = vaultWith().id
    const other = vaultWith({ id: attached.replace('kv-platform', 'kv-other') })
    const elsewhere = keyVersion(7, 'kv-other')
    const start = observedWith(
      clusterWith({ ...kmsOn(K1), networkAccess: 'Private', vaultResourceId: attached }),
      [D1, D2, keyDetails(elsewhere)],
      {
        keyVersions: { kind: 'readable', versions: [D1, D2] },
        vaults: new Map([[elsewhere.vaultUrl, { kind: 'readable', vault: other }]])
      }
    )
    const attachedTo = (changes: Partial<Request>) => {
      const { last } = walk(requestFor('rotate', changes), start)
      return last.cluster?.kms.enabled === true ? last.cluster.kms.vaultResourceId : undefined
    }
    expect(attachedTo({})).toBe(attached)
    expect(attachedTo({ key: elsewhere })).toBe(other.id)
    const named = other.id.replace('/rg/', '/another/')
    expect(attachedTo({ key: elsewhere, vaultResourceId: named })).toBe(named)
  })

  test('takes the key that was asked for, also an older one or another vault’s', () => {
    const elsewhere = keyVersion(7, 'kv-other')
    for (const key of [K1, elsewhere]) {
      const start = observedWith(clusterWith(kmsOn(K2)), [D1, D2, keyDetails(elsewhere)])
      expect(walk(requestFor('rotate', { key }), start).steps).toEqual([
        'prove',
        `set ${key.version.slice(-1)}`,
        'prove'
      ])
    }
  })

  test('with max-key-age does nothing before its time, and rotates at it', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [D1, D2])
    const age = NOW - D1.created
    expect(walk(requestFor('rotate', { maxKeyAge: age }), start).steps).toEqual(['prove', 'set 2', 'prove'])
    const { steps, end } = walk(requestFor('rotate', { maxKeyAge: age + DAY }), start)
    expect(steps).toEqual([])
    expect(end).toMatchObject({ kind: 'done', sentence: 'Not due until 2026-11-23: nothing was touched.' })
  })

  test('finishes an unproved rotation first, and makes no second one on top, even where one is due', () => {
    const start = observedWith(clusterWith(kmsOn(K2)), [D1, D2, D3], {
      goal: {
        goal: { operation: 'rotate', kms: kmsOn(K2), fromKeyId: K1.url, kubernetesVersion: undefined },
        fromEarlierRun: true
      }
    })
    for (const request of [requestFor('rotate'), requestFor('rotate', { maxKeyAge: 1 })]) {
      const { steps, end } = walk(request, start)
      expect(steps).toEqual(['prove'])
      expect(end).toMatchObject({ kind: 'done', sentence: expect.stringContaining('interrupted'), findings: [] })
    }
    const { steps, end } = walk(requestFor('rotate', { key: K3 }), start)
    expect(steps).toEqual(['prove'])
    expect(end).toMatchObject({ kind: 'done', findings: [{ code: 'key-not-reached', severity: 'warning' }] })
  })

  test('a record that no longer fits what is observed is passed over', () => {
    const start = observedWith(clusterWith(kmsOn(K3)), [D1, D2, D3], {
      goal: {
        goal: { operation: 'rotate', kms: kmsOn(K2), fromKeyId: K1.url, kubernetesVersion: undefined },
        fromEarlierRun: true
      }
    })
    expect(walk(requestFor('rotate'), start).steps).toEqual(['create', 'prove', 'set new1', 'prove'])
  })

  test('a recorded version that can’t be used any more is chosen anew', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [D1, keyDetails(K2, { enabled: false }), D3], {
      goal: {
        goal: { operation: 'rotate', kms: kmsOn(K2), fromKeyId: K1.url, kubernetesVersion: undefined },
        fromEarlierRun: true
      }
    })
    expect(walk(requestFor('rotate'), start).steps).toEqual(['prove', 'set 3', 'prove'])
  })

  test('a failed update that shows the new key is set again', () => {
    const start = observedWith(clusterWith(kmsOn(K2), { phase: 'failed', provisioningState: 'Failed' }), [D1, D2], {
      goal: {
        goal: { operation: 'rotate', kms: kmsOn(K2), fromKeyId: K1.url, kubernetesVersion: undefined },
        fromEarlierRun: true
      }
    })
    expect(walk(requestFor('rotate'), start).steps).toEqual(['prove', 'set 2', 'prove'])
  })

  test('unreadable versions are refused with their reason', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [D1], {
      keyVersions: { kind: 'unreadable', reason: 'forbidden', message: 'no' }
    })
    expect(refusals(requestFor('rotate'), start)).toEqual(['key-forbidden'])
  })
})

describe('disable', () => {
  test('proves, switches off, and proves', () => {
    expect(walk(requestFor('disable'), observedWith(clusterWith(kmsOn(K1)), [D1])).steps).toEqual([
      'prove',
      'off',
      'prove'
    ])
  })

  test('off already: proves', () => {
    expect(walk(requestFor('disable'), observedWith(clusterWith())).steps).toEqual(['prove'])
  })

  test('goes on although the key could not be read', () => {
    expect(walk(requestFor('disable'), observedWith(clusterWith(kmsOn(K1)))).end.kind).toBe('done')
  })
})

describe('migrate-v2', () => {
  const old = clusterWith(kmsOn(K1), {
    kubernetesVersion: '1.25.6',
    pools: [poolOf('system', '1.25.6')],
    upgrades: ['1.25.11', '1.26.3', '1.26.10']
  })

  test('off, the control plane up to KMS v2, on again, and then the nodes, with proofs between', () => {
    const { steps, end } = walk(requestFor('migrate-v2'), observedWith(old, [D1]))
    expect(steps).toEqual([
      'prove',
      'off',
      'prove',
      'control plane 1.26.10',
      'control plane 1.27',
      'set 1',
      'prove',
      'system 1.27'
    ])
    expect(end.kind).toBe('done')
  })

  test('on to 1.29: no node falls more than two minors behind', () => {
    const pools = [poolOf('system', '1.25.6'), poolOf('work', '1.26.3')]
    const start = observedWith({ ...old, pools }, [D1])
    const { steps, end } = walk(requestFor('migrate-v2', { kubernetesVersion: '1.29' }), start)
    expect(steps.slice(5)).toEqual([
      'set 1',
      'prove',
      'system 1.27',
      'control plane 1.28',
      'work 1.28',
      'control plane 1.29',
      'system 1.29',
      'work 1.29'
    ])
    expect(end).toMatchObject({ kind: 'done', sentence: expect.stringContaining('Kubernetes 1.29') })
  })

  describe('the nodes', () => {
    const onV2 = { kubernetesVersion: '1.27.9', upgrades: ['1.28.3'] }
    const underWay = {
      goal: {
        goal: { operation: 'migrate-v2', kms: kmsOn(K1), fromKeyId: K1.url, kubernetesVersion: '1.27' },
        fromEarlierRun: true
      }
    }
    const withPools = (...pools: readonly NodePool[]): Observed =>
      observedWith(clusterWith(kmsOn(K1), { ...onV2, pools }), [D1], underWay)

    test('go as far as AKS offers, each for itself', () => {
      const start = withPools(
        poolOf('system', '1.25.6', ['1.26.3', '1.26.10']),
        poolOf('work', '1.26.3', ['1.26.10', '1.27.9', '1.28.3']),
        poolOf('new', '1.27.9')
      )
      expect(walk(requestFor('migrate-v2'), start).steps).toEqual([
        'prove',
        'system 1.26.10',
        'work 1.27.9',
        'system 1.27.9'
      ])
    })

    test('that AKS offers nothing for are named, after all else is done', () => {
      const start = withPools(poolOf('system', '1.25.6', ['1.28.3']))
      const { steps, end } = walk(requestFor('migrate-v2'), start)
      expect(steps).toEqual(['prove'])
      expect(end).toMatchObject({
        kind: 'refused',
        findings: [{ code: 'kubernetes-version-unavailable', message: expect.stringContaining('node pool system') }]
      })
    })
  })

  test('on 1.27 and above there is nothing to migrate', () => {
    const { steps, end } = walk(requestFor('migrate-v2'), observedWith(clusterWith(kmsOn(K1)), [D1]))
    expect(steps).toEqual(['prove'])
    expect(end).toMatchObject({ kind: 'done', sentence: expect.stringContaining('already') })
  })

  test('is refused where AKS offers no way, before anything is changed', () => {
    const stuck = { ...old, upgrades: ['1.25.11'] }
    expect(refusals(requestFor('migrate-v2'), observedWith(stuck, [D1]))).toEqual(['kubernetes-version-unavailable'])
  })

  test('is refused where the key could not be used afterwards', () => {
    expect(refusals(requestFor('migrate-v2'), observedWith(old, [keyDetails(K1, { enabled: false })]))).toEqual([
      'key-disabled'
    ])
  })

  test('is refused where KMS is off', () => {
    expect(refusals(requestFor('migrate-v2'), observedWith({ ...old, kms: KMS_OFF }))).toEqual(['kms-off'])
  })
})

describe('the state of the cluster', () => {
  test('is waited for while it is changing', () => {
    const cluster = clusterWith(kmsOn(K1), { phase: 'changing', provisioningState: 'Upgrading' })
    expect(walk(requestFor('rotate'), observedWith(cluster, [D1, D2])).steps).toEqual([
      'wait',
      'prove',
      'set 2',
      'prove'
    ])
  })

  test.each<['stopped' | 'deleting' | 'failed', Code]>([
    ['stopped', 'cluster-stopped'],
    ['deleting', 'cluster-deleting'],
    ['failed', 'cluster-failed']
  ])('%s is refused', (phase, code) => {
    expect(refusals(requestFor('rotate'), observedWith(clusterWith(kmsOn(K1), { phase }), [D1, D2]))).toEqual([code])
  })
})

describe('rights in Kubernetes', () => {
  const missingRights = [
    { verb: 'list', resource: 'namespaces' },
    { verb: 'patch', resource: 'secrets' }
  ] as const

  test('that lack are named before anything is done, with the role to give', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [D1, D2], { missingRights })
    const end = decide(requestFor('rotate'), start)
    expect(end).toMatchObject({
      kind: 'refused',
      findings: [
        {
          code: 'secrets-forbidden',
          message: expect.stringContaining('list namespaces, patch secrets'),
          fix: expect.stringContaining('RBAC Writer')
        }
      ]
    })
  })

  test('by Kubernetes’ own RBAC: the ClusterRole', () => {
    const start = observedWith(clusterWith(kmsOn(K1), { azureRbac: false }), [D1], { missingRights })
    for (const observed of [start, { ...start, cluster: undefined }]) {
      expect(decide(requestFor('re-encrypt'), observed)).toMatchObject({
        kind: 'refused',
        findings: [{ code: 'secrets-forbidden', fix: expect.stringContaining('docs/kubernetes-rbac.yml') }]
      })
    }
  })

  test('matter only to what proves', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [D1], { missingRights })
    expect(decide(requestFor('rotate', { maxKeyAge: 9999 * DAY }), start).kind).toBe('done')
    expect(refusals(requestFor('rotate'), { ...start, cluster: clusterWith() })).toEqual(['kms-off'])
  })
})

describe('more Secrets than KMS v1 takes', () => {
  const old = { kubernetesVersion: '1.26.12' }

  test('KMS is not switched on', () => {
    const request = requestFor('enable', { key: K1 })
    const start = observedWith(clusterWith(KMS_OFF, old), [D1])
    expect(refusals(request, { ...start, secretCount: 2_001 })).toEqual(['kms-v1-too-many-secrets'])
    expect(walk(request, { ...start, secretCount: 2_000 }).end.kind).toBe('done')
  })

  test('where it is on already, runs go slowly, and say so', () => {
    const start = observedWith(clusterWith(kmsOn(K1), old), [D1], { secretCount: 12_000 })
    expect(slowUnderKmsV1(start)).toMatchObject({
      severity: 'warning',
      code: 'kms-v1-slow',
      message: expect.stringMatching(/12,000 Secrets.*2,000.*10 a second.*20 min/)
    })
    expect(walk(requestFor('enable', { key: K1 }), start).steps).toEqual(['prove'])
    expect(slowUnderKmsV1({ ...start, secretCount: 2_000 })).toBeUndefined()
    expect(slowUnderKmsV1({ ...start, cluster: clusterWith(KMS_OFF, old) })).toBeUndefined()
  })
})

describe('KMS data encryption', () => {
  test.each(['platform-key', 'customer-key'] as const)('%s: only re-encrypt has anything to do', (dataEncryption) => {
    const kms = dataEncryption === 'platform-key' ? KMS_OFF : { ...kmsOn(K1), keyId: K1.url.replace(/\/[^/]+$/, '') }
    const start = observedWith(clusterWith(kms, { dataEncryption }), [D1])
    expect(walk(requestFor('re-encrypt'), start).steps).toEqual(['prove'])
    for (const operation of OPERATIONS.filter(changesKms)) {
      expect([operation, ...refusals(requestFor(operation, { key: K1 }), start)]).toEqual([
        operation,
        'kms-data-encryption'
      ])
    }
  })
})

describe('an API server that does not answer', () => {
  const access = { isPrivate: false, authorizedIpRanges: [] }
  const explain = (apiServerAccess: ApiServerAccess, { isKnown = true, vnetIntegration = false } = {}) =>
    explainUnreachable(clusterWith(KMS_OFF, { apiServerAccess, vnetIntegration }), 'No answer.', { isKnown })

  test('because the cluster is private', () => {
    const code = 'api-server-private'
    expect(explain({ ...access, isPrivate: true })).toMatchObject({
      code,
      message: expect.stringContaining('endpoint')
    })
    expect(explain({ ...access, isPrivate: true }, { vnetIntegration: true })).toMatchObject({
      code,
      message: expect.stringContaining('VNet integration')
    })
  })

  test('because it may admit others only', () => {
    expect(explain({ ...access, authorizedIpRanges: ['203.0.113.0/24', '198.51.100.7/32'] })).toMatchObject({
      code: 'api-server-authorized-ranges',
      message: expect.stringMatching(/^No answer\. .*203\.0\.113\.0\/24, 198\.51\.100\.7\/32\.$/),
      fix: expect.stringContaining('--api-server-authorized-ip-ranges 203.0.113.0/24,198.51.100.7/32,<address>/32')
    })
  })

  test('is what the operation is refused for, whatever it is', () => {
    const unreachable = explain({ ...access, isPrivate: true })
    const start = observedWith(clusterWith(kmsOn(K1)), [], { unreachable })
    for (const operation of ['rotate', 'disable', 're-encrypt'] as const) {
      expect(refusals(requestFor(operation), start)).toEqual(['api-server-private'])
    }
  })

  test('for a reason that Azure does not know', () => {
    expect(explain(access, { vnetIntegration: true })).toBeUndefined()
    expect(explain({ ...access, authorizedIpRanges: ['203.0.113.0/24'] }, { isKnown: false })).toBeUndefined()
  })
})

describe('whatever the start, and wherever a run is killed', () => {
  const v125 = { kubernetesVersion: '1.25.6', pools: [poolOf('system', '1.25.6'), poolOf('work', '1.25.6')] }
  const starts: readonly [string, Request, Observed][] = [
    ['enable', requestFor('enable', { key: K1 }), observedWith(clusterWith(), [D1])],
    ['rotate', requestFor('rotate'), observedWith(clusterWith(kmsOn(K1)), [D1, D2])],
    ['rotate with a new version', requestFor('rotate'), observedWith(clusterWith(kmsOn(K2)), [D1, D2])],
    ['rotate to a given key', requestFor('rotate', { key: K3 }), observedWith(clusterWith(kmsOn(K1)), [D1, D2, D3])],
    ['disable', requestFor('disable'), observedWith(clusterWith(kmsOn(K1)), [D1])],
    ['migrate-v2', requestFor('migrate-v2'), observedWith(clusterWith(kmsOn(K1), v125), [D1])],
    [
      'migrate-v2 on to 1.29',
      requestFor('migrate-v2', { kubernetesVersion: '1.29' }),
      observedWith(clusterWith(kmsOn(K1), v125), [D1])
    ]
  ]

  test.each(starts)(
    '%s: the profile is never set over unproved Secrets, and the end is proved',
    (_name, request, start) => expectSafe(request, start)
  )

  test.each(starts)(
    '%s: run again after a kill before, after or within any step, it ends the same',
    (_name, request, start) => expectResumable(request, start)
  )
})
