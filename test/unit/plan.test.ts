import { expect, test } from '@jest/globals'
import type { Observed } from '../../src/model/observed.ts'
import { makePlan } from '../../src/plan.ts'
import type { Request } from '../../src/request.ts'
import { clusterWith, DAY, keyDetails, keyVersion, kmsOn, NOW, observedWith, requestFor } from '../fixtures/observed.ts'

const [K1, K2, K3] = [keyVersion(1), keyVersion(2), keyVersion(3)]
const start = observedWith(clusterWith(kmsOn(K1)), [keyDetails(K1), keyDetails(K2)])
const rotate = requestFor('rotate')

function hash(request: Request, observed: Observed): string {
  return makePlan(request, observed).plan.hash
}

test('a plan has the steps in words, and how it ends', () => {
  const { plan, findings } = makePlan(rotate, start)
  expect(findings).toEqual([])
  expect(plan).toMatchObject({ refused: false, sentence: expect.stringMatching(/rotated/) })
  expect(plan.steps.map(({ title }) => title)).toEqual([
    expect.stringMatching(/^Keep the goal/),
    expect.stringMatching(/^Prove every Secret under the key version in use/),
    `Set the cluster’s KMS profile: kv-platform/etcd version ${K1.version} (Public) → kv-platform/etcd version ${K2.version} (Public)`,
    expect.stringMatching(/^Re-encrypt every Secret/)
  ])
})

test('a version that is still to be made is said so', () => {
  const { plan } = makePlan(rotate, observedWith(clusterWith(kmsOn(K1)), [keyDetails(K1)]))
  expect(plan.steps[0]?.title).toBe('Make a new version of the key https://kv-platform.vault.azure.net/keys/etcd')
  expect(plan.steps.find(({ kind }) => kind === 'set-kms-profile')?.title).toContain('the new version')
})

test('what would be refused is told with all its reasons', () => {
  const { plan, findings } = makePlan(rotate, observedWith(clusterWith()))
  expect(plan).toMatchObject({ refused: true, steps: [], sentence: findings[0]?.message })
  expect(findings.map(({ code }) => code)).toEqual(['kms-off'])
})

test('the hash stays while nothing changes that the plan depends on', () => {
  const later: Observed = {
    ...start,
    now: NOW + DAY,
    cluster: {
      ...start.cluster,
      id: start.cluster.id.toUpperCase(),
      kubernetesVersion: '1.34.9',
      provisioningState: 'x'
    },
    record: { ...start.record, provedAt: '2026-11-22T00:00:00Z' }
  }
  expect(hash(rotate, later)).toBe(hash(rotate, start))
})

test.each<[string, Request, Observed]>([
  ['the operation', requestFor('disable'), start],
  ['the cluster', rotate, { ...start, cluster: { ...start.cluster, id: '/other' } }],
  ['the key in use', rotate, observedWith(clusterWith(kmsOn(K2)), [keyDetails(K1), keyDetails(K2)])],
  ['the key to come', rotate, observedWith(clusterWith(kmsOn(K1)), [keyDetails(K1), keyDetails(K2), keyDetails(K3)])],
  ['a refusal', rotate, { ...start, cluster: { ...start.cluster, identityType: 'SystemAssigned' } }]
])('the hash changes with %s', (_name, request, observed) => {
  expect(hash(request, observed)).not.toBe(hash(rotate, start))
})
