import { describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import { KMS_OFF } from '../../src/model/kms-profile.ts'
import { withCluster, type Observed } from '../../src/model/observed.ts'
import type { Decision } from '../../src/model/step.ts'
import { decide } from '../../src/operations/decide.ts'
import type { Request } from '../../src/request.ts'
import { bind } from '../../src/steps/steps.ts'
import { clusterWith, DAY, keyDetails, keyVersion, kmsOn, NOW, observedWith, requestFor } from '../fixtures/observed.ts'

const K1 = keyVersion(1)
const K2 = keyVersion(2)
const K3 = keyVersion(3)
const [D1, D2, D3] = [keyDetails(K1), keyDetails(K2), keyDetails(K3)]

/** The steps to the end, each shortened to what matters, and the end itself. */
function walk(
  request: Request,
  start: Observed
): { readonly steps: string[]; readonly end: Decision; readonly last: Observed } {
  const steps: string[] = []
  let observed = start
  for (let i = 0; i < 40; i++) {
    const decision = decide(request, observed)
    if (decision.kind !== 'step') return { steps, end: decision, last: observed }
    const { step } = decision
    switch (step.kind) {
      case 'prove-secrets':
        steps.push('prove')
        break
      case 'set-kms-profile':
        steps.push(step.profile.enabled ? `set ${step.profile.keyId.slice(-1)}` : 'off')
        break
      case 'upgrade-kubernetes':
        steps.push(`upgrade ${step.version}`)
        break
      case 'create-key-version':
        steps.push('create')
        break
      case 'record-goal':
        break
      case 'wait-for-cluster':
        steps.push('wait')
    }
    observed = bind(step).predict(observed)
  }
  throw new Error(`no end: ${steps.join(', ')}`)
}

function refusals(request: Request, observed: Observed): Code[] {
  const { end, steps } = walk(request, observed)
  expect(steps).toEqual([])
  expect(end.kind).toBe('refused')
  return end.kind === 'refused' ? end.findings.map(({ code }) => code) : []
}

/** What the next run sees when this one was killed: only the cluster, the vault and the record. */
function nextRun(observed: Observed): Observed {
  return {
    ...observed,
    secretsProved: false,
    madeKeyId: undefined,
    goal: observed.goal && { ...observed.goal, fromEarlierRun: true }
  }
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
    expect(steps).toEqual(['create', 'prove', 'set w', 'prove'])
  })

  test('makes one version only, also when the vault shows it as no newer than the one in use', () => {
    const start = observedWith(clusterWith(kmsOn(K1)), [D1])
    const made = keyDetails(K2, { created: D1.created })
    const next = { ...observedWith(clusterWith(kmsOn(K1)), [made, D1]), madeKeyId: K2.url }
    expect(decide(requestFor('rotate'), start)).toMatchObject({ step: { kind: 'create-key-version' } })
    expect(walk(requestFor('rotate'), next).steps).toEqual(['prove', 'set 2', 'prove'])
  })

  test('makes a version to get away from a current one that has expired', () => {
    const versions = [D1, keyDetails(K2, { expires: NOW - 1 })]
    const { steps } = walk(requestFor('rotate'), observedWith(clusterWith(kmsOn(K2)), versions))
    expect(steps).toEqual(['create', 'prove', 'set w', 'prove'])
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
    expect(walk(requestFor('rotate'), start).steps).toEqual(['create', 'prove', 'set w', 'prove'])
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

  test('a versionless key id is the newer encryption, which rotates by itself', () => {
    const kms = { ...kmsOn(K1), keyId: 'https://kv-platform.vault.azure.net/keys/etcd' }
    expect(refusals(requestFor('rotate'), observedWith(clusterWith(kms)))).toEqual(['kms-data-encryption'])
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
    pools: [{ name: 'system', kubernetesVersion: '1.25.6', provisioningState: 'Succeeded' }],
    upgrades: ['1.25.11', '1.26.3', '1.26.10']
  })

  test('off, minor by minor up, and on again, with proofs between', () => {
    const { steps, end } = walk(requestFor('migrate-v2', { kubernetesVersion: '1.28' }), observedWith(old, [D1]))
    expect(steps).toEqual([
      'prove',
      'off',
      'prove',
      'upgrade 1.26.10',
      'upgrade 1.27',
      'upgrade 1.28',
      'set 1',
      'prove'
    ])
    expect(end.kind).toBe('done')
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

describe('whatever the start, and wherever a run is killed', () => {
  const v125 = {
    kubernetesVersion: '1.25.6',
    pools: [{ name: 'system', kubernetesVersion: '1.25.6', provisioningState: 'Succeeded' }]
  }
  const starts: readonly [string, Request, Observed][] = [
    ['enable', requestFor('enable', { key: K1 }), observedWith(clusterWith(), [D1])],
    ['rotate', requestFor('rotate'), observedWith(clusterWith(kmsOn(K1)), [D1, D2])],
    ['rotate with a new version', requestFor('rotate'), observedWith(clusterWith(kmsOn(K2)), [D1, D2])],
    ['rotate to a given key', requestFor('rotate', { key: K3 }), observedWith(clusterWith(kmsOn(K1)), [D1, D2, D3])],
    ['disable', requestFor('disable'), observedWith(clusterWith(kmsOn(K1)), [D1])],
    ['migrate-v2', requestFor('migrate-v2'), observedWith(clusterWith(kmsOn(K1), v125), [D1])]
  ]

  test.each(starts)(
    '%s: the profile is never set over unproved Secrets, and the end is proved',
    (_name, request, start) => {
      let observed = start
      for (;;) {
        const decision = decide(request, observed)
        if (decision.kind !== 'step') {
          expect(decision.kind).toBe('done')
          expect(observed.secretsProved).toBe(true)
          return
        }
        if (decision.step.kind === 'set-kms-profile') {
          expect(observed.secretsProved).toBe(true)
          expect(observed.goal).toBeDefined()
        }
        observed = bind(decision.step).predict(observed)
      }
    }
  )

  test.each(starts)(
    '%s: run again after a kill before, after or within any step, it ends the same',
    (_name, request, start) => {
      const whole = walk(request, start)
      let observed = start
      for (let killedAfter = 0; ; killedAfter++) {
        const resumed = walk(request, nextRun(observed))
        expect(resumed.end.kind).toBe('done')
        expect(resumed.last.cluster).toEqual(whole.last.cluster)

        const decision = decide(request, observed)
        if (decision.kind !== 'step') {
          expect(killedAfter).toBeGreaterThan(2)
          return
        }
        const after = bind(decision.step).predict(observed)
        // Within the step: Azure shows the new profile while it is still at work, or has failed at it.
        for (const phase of ['changing', 'failed'] as const) {
          if (decision.step.kind !== 'set-kms-profile' && decision.step.kind !== 'upgrade-kubernetes') continue
          const within = nextRun(withCluster(after, () => ({ phase })))
          expect(walk(request, within).last.cluster).toEqual({
            ...whole.last.cluster,
            provisioningState: expect.any(String)
          })
        }
        observed = after
      }
    }
  )
})
