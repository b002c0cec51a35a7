import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { acquireLock, type Lock, type LockOptions } from '../../src/kubernetes/lock.ts'
import type { SeenRequest } from '../../testbed/embedded-apiserver/faults.ts'
import { startEmbeddedCluster, type EmbeddedCluster } from '../fixtures/embedded-cluster.ts'

const COLLECTION = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
const PATH = `${COLLECTION}/kms-etcd-encryption`

let cluster: EmbeddedCluster
let locks: Lock[]
let lines: string[]
beforeEach(async () => {
  cluster = await startEmbeddedCluster()
  locks = []
  lines = []
})
afterEach(async () => {
  for (const lock of locks) await lock.release()
  await cluster.stop()
})

async function acquire(holder: string, options: Partial<LockOptions> = {}): Promise<Lock> {
  const lock = await acquireLock({
    endpoint: cluster.endpoint,
    namespace: 'kube-system',
    holder,
    leaseSeconds: 1,
    log: { info: (line) => lines.push(line) },
    ...options
  })
  locks.push(lock)
  return lock
}

interface Lease {
  readonly metadata: { readonly resourceVersion: string; readonly labels?: Readonly<Record<string, string>> }
  readonly spec: Readonly<Record<string, unknown>>
}
const lease = async () => (await cluster.controlPlane.request('GET', PATH)).body as Lease
const edit = (spec: object) =>
  cluster.controlPlane.request('PATCH', PATH, { spec }, { 'content-type': 'application/merge-patch+json' })
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const isUpdate = ({ verb, plural, user }: SeenRequest) =>
  verb === 'update' && plural === 'leases' && user.username === 'runner'

function lostBy(lock: Lock): Promise<unknown> {
  return new Promise((resolve) => {
    if (lock.lost.aborted) resolve(lock.lost.reason)
    lock.lost.addEventListener('abort', () => resolve(lock.lost.reason))
  })
}

test('a Lease that names the holder, and is free for others after its release', async () => {
  const lock = await acquire('run 1', { leaseSeconds: 60 })
  const { metadata, spec } = await lease()
  expect(metadata.labels).toEqual({ 'app.kubernetes.io/managed-by': 'aks-kms-etcd-encryption' })
  expect(spec).toEqual({
    holderIdentity: 'run 1',
    leaseDurationSeconds: 60,
    acquireTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    renewTime: spec['acquireTime'],
    leaseTransitions: 0
  })
  await lock.release()
  expect((await lease()).spec['holderIdentity'] ?? '').toBe('')
  expect(lock.lost.aborted).toBe(false)
  await acquire('run 2')
  expect((await lease()).spec).toMatchObject({ holderIdentity: 'run 2', leaseTransitions: 1 })
  expect(lines).toEqual([])
})

test('is renewed as long as it is held, and keeps others away, also of the same name', async () => {
  const lock = await acquire('run 1')
  const { renewTime } = (await lease()).spec
  await expect(acquire('run 2')).rejects.toMatchObject({
    code: 'lock-held',
    message: expect.stringMatching(/^run 1 .* since \d{4}-/)
  })
  await expect(acquire('run 1')).rejects.toMatchObject({ code: 'lock-held' })
  await pause(1500)
  const { spec } = await lease()
  expect(spec['holderIdentity']).toBe('run 1')
  expect(String(spec['renewTime']) > String(renewTime)).toBe(true)
  expect(lock.lost.aborted).toBe(false)
})

test('of two that want it at once one gets it', async () => {
  const results = await Promise.allSettled([acquire('run 1'), acquire('run 2'), acquire('run 3')])
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test.each([
  ['whose clock is right', () => new Date().toISOString()],
  ['whose clock is ahead', () => '2100-01-01T00:00:00Z'],
  ['whose clock is behind', () => '2000-01-01T00:00:00Z']
])('of a dead run %s is taken over when it was seen unrenewed for its duration', async (_, time) => {
  const lock = await acquire('dead')
  await lock.release()
  const renewTime = time().replace(/(\.\d+)?Z$/, '.000000Z')
  await edit({ holderIdentity: 'dead', acquireTime: renewTime, renewTime, leaseDurationSeconds: 2 })
  const started = Date.now()
  await acquire('run 2')
  expect(Date.now() - started).toBeGreaterThanOrEqual(2000)
  expect(Date.now() - started).toBeLessThan(4000)
  expect((await lease()).spec).toMatchObject({ holderIdentity: 'run 2', leaseDurationSeconds: 1 })
  expect(lines).toEqual([expect.stringMatching(/held by dead.*2 s/)])
})

test('the wait for a dead run ends with an abort', async () => {
  await (await acquire('dead')).release()
  await edit({ holderIdentity: 'dead', leaseDurationSeconds: 60 })
  const reason = new Error('cancelled')
  const aborting = new AbortController()
  setTimeout(() => aborting.abort(reason), 100)
  await expect(acquire('run 2', { signal: aborting.signal })).rejects.toBe(reason)
})

test('is lost when somebody else takes it', async () => {
  const lock = await acquire('run 1')
  await edit({ holderIdentity: 'run 2' })
  expect(await lostBy(lock)).toMatchObject({ code: 'lock-lost', message: expect.stringContaining('run 2 took') })
  await lock.release()
  expect((await lease()).spec['holderIdentity']).toBe('run 2')
})

test('is lost when somebody deletes it', async () => {
  const lock = await acquire('run 1')
  await cluster.controlPlane.request('DELETE', PATH)
  expect(await lostBy(lock)).toMatchObject({ code: 'lock-lost', message: expect.stringContaining('removed') })
})

test('is not lost when somebody only labels it', async () => {
  const lock = await acquire('run 1')
  await cluster.controlPlane.request(
    'PATCH',
    PATH,
    { metadata: { labels: { seen: 'yes' } } },
    { 'content-type': 'application/merge-patch+json' }
  )
  await pause(1200)
  expect(lock.lost.aborted).toBe(false)
  await lock.release()
  const { metadata, spec } = await lease()
  expect(metadata.labels).toMatchObject({ seen: 'yes' })
  expect(spec['holderIdentity'] ?? '').toBe('')
})

test('is not lost by a short failure, also where the answer was lost', async () => {
  const lock = await acquire('run 1', { leaseSeconds: 3 })
  const faults = [
    cluster.controlPlane.faults.inject({ kind: 'reset', carriedOut: true }, { when: isUpdate }),
    cluster.controlPlane.faults.inject({ kind: 'answer', status: 503 }, { when: isUpdate, times: 2 })
  ]
  await pause(3500)
  expect(faults.map(({ struck }) => struck)).toEqual([1, 2])
  expect(lock.lost.aborted).toBe(false)
})

test('is not lost by a refusal that is soon taken back', async () => {
  const lock = await acquire('run 1', { leaseSeconds: 3 })
  const lift = cluster.controlPlane.faults.denyByWebhook('kube-system')
  await pause(1500)
  lift()
  await pause(2000)
  expect(lock.lost.aborted).toBe(false)
})

test('is lost before others may take it when it can’t be renewed', async () => {
  const lock = await acquire('run 1', { leaseSeconds: 2 })
  await pause(100)
  const renewedAt = Date.parse(String((await lease()).spec['renewTime']))
  cluster.controlPlane.faults.inject({ kind: 'answer', status: 503 }, { when: isUpdate, times: Infinity })
  expect(await lostBy(lock)).toMatchObject({ code: 'lock-lost', message: expect.stringContaining('2 s') })
  expect(Date.now() - renewedAt).toBeLessThan(2000)
})

test('is lost in time although no answer comes at all', async () => {
  const lock = await acquire('run 1', { leaseSeconds: 2 })
  const renewedAt = Date.parse(String((await lease()).spec['renewTime']))
  cluster.controlPlane.faults.inject({ kind: 'delay', milliseconds: 4000 }, { when: isUpdate, times: Infinity })
  expect(await lostBy(lock)).toMatchObject({ code: 'lock-lost' })
  expect(Date.now() - renewedAt).toBeLessThan(2000)
  const started = Date.now()
  await lock.release()
  expect(Date.now() - started).toBeLessThan(1000)
})

test('can be released although the run was cancelled, and never throws', async () => {
  const aborting = new AbortController()
  const lock = await acquire('run 1', { signal: aborting.signal })
  aborting.abort()
  await lock.release()
  expect((await lease()).spec['holderIdentity'] ?? '').toBe('')
  const second = await acquire('run 2')
  await cluster.controlPlane.stop()
  await second.release()
})

test('without the permission', async () => {
  await expect(acquire('run 1', { endpoint: cluster.endpointFor('nobody') })).rejects.toMatchObject({
    code: 'lock-forbidden',
    message: expect.stringContaining('get leases.coordination.k8s.io "kms-etcd-encryption" in namespace kube-system')
  })
})

test('in a namespace that is not there', async () => {
  await expect(acquire('run 1', { namespace: 'nowhere' })).rejects.toMatchObject({ code: 'input-invalid' })
})
