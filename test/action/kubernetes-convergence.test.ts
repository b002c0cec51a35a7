import { afterEach, describe, expect, test } from '@jest/globals'

import { proveSecrets, type ProofOptions } from '../../src/kubernetes/proof.ts'
import type { KeyChange } from '../../src/model/api-servers.ts'
import { keyIdHashOf } from '../../src/model/key-id.ts'
import type { Proof } from '../../src/model/secrets.ts'
import type { EncryptionConfiguration } from '../../testbed/contract.ts'
import type { SeenRequest } from '../../testbed/embedded-apiserver/faults.ts'
import {
  FIRST_KEY_ID,
  NO_KEY,
  SECOND_KEY,
  SECOND_KEY_ID,
  secretsOf,
  startEmbeddedCluster,
  type EmbeddedCluster
} from '../fixtures/embedded-cluster.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

let cluster: EmbeddedCluster
afterEach(() => cluster.stop())

const UNDER_FIRST = { kind: 'key', keyId: FIRST_KEY_ID } as const
const UNDER_SECOND = { kind: 'key', keyId: SECOND_KEY_ID } as const
const MINUTE = 60_000

async function start(...args: Parameters<typeof startEmbeddedCluster>): Promise<void> {
  cluster = await startEmbeddedCluster(...args)
}

const lines: string[] = []
const log = {
  info: (line: string) => void lines.push(line),
  debug() {},
  group: <T>(_: string, body: () => Promise<T>) => body()
}

function prove(options: Partial<ProofOptions> = {}): Promise<Proof> {
  lines.length = 0
  return proveSecrets({ endpoint: cluster.endpoint, writeKey: UNDER_FIRST, log, clock: new FakeClock(), ...options })
}

/** Rolls the API server to the second key; gives the change as the run would remember it. */
async function rotate(clock: FakeClock): Promise<KeyChange> {
  const beganAt = clock.now()
  await cluster.controlPlane.roll(SECOND_KEY)
  return { beganAt, endedAt: clock.now() }
}

const slept = (clock: FakeClock): number => clock.slept.reduce((sum, time) => sum + time, 0)
const reEncrypted = ({ passes }: Proof): number[] => passes.map(({ counts }) => counts.reEncrypted)
const isMetrics = ({ path }: SeenRequest): boolean => path === '/metrics'

describe('evidence', () => {
  test('names the API server, its keys and the last use of the old one', async () => {
    await start(secretsOf({ one: 20 }))
    const clock = new FakeClock()
    const proof = await prove({ clock, writeKey: UNDER_SECOND, keyChange: await rotate(clock) })
    expect(proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'metrics', reason: undefined, live: 1 } })
    const [server] = proof.evidence.servers
    expect(server).toMatchObject({ state: 'current', id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) })
    expect(server?.keys).toHaveLength(2)
    expect(server?.keys.find(({ wanted }) => wanted)).toMatchObject({
      keyIdHash: keyIdHashOf(SECOND_KEY_ID),
      lastWriteAt: expect.any(String),
      lastReadAt: expect.any(String)
    })
    expect(server?.keys.find(({ wanted }) => !wanted)).toMatchObject({
      keyIdHash: keyIdHashOf(FIRST_KEY_ID),
      lastReadAt: expect.any(String),
      lastWriteAt: undefined
    })
    expect(slept(clock)).toBeLessThan(MINUTE)
  })

  test('of KMS that is off', async () => {
    await start(secretsOf({ one: 5 }))
    await cluster.controlPlane.roll([...NO_KEY, ...SECOND_KEY])
    const proof = await prove({ writeKey: { kind: 'none' } })
    expect(proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'metrics', servers: [{ state: 'current' }] } })
  })

  test('of a cluster that never had KMS', async () => {
    await start(secretsOf({ one: 5 }), NO_KEY)
    const proof = await prove({ writeKey: { kind: 'none' } })
    expect(proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'passes', reason: 'no-kms' } })
  })
})

describe('where metrics are of no use', () => {
  test.each([
    ['forbidden', () => void cluster.controlPlane.faults.forbid(isMetrics)],
    [
      'unreadable',
      () =>
        void cluster.controlPlane.faults.inject(
          { kind: 'replaced', status: 200, headers: { 'content-type': 'text/html' }, body: '<html></html>' },
          { when: isMetrics, times: Infinity }
        )
    ]
  ])('%s: after a change of key it takes five minutes, and says so', async (reason, spoil) => {
    await start(secretsOf({ one: 20 }))
    const clock = new FakeClock()
    const keyChange = await rotate(clock)
    spoil()
    const proof = await prove({ clock, writeKey: UNDER_SECOND, keyChange })
    expect(proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'passes', reason, servers: [] } })
    expect(clock.now()).toBeGreaterThanOrEqual(keyChange.endedAt + 5 * MINUTE)
    expect(clock.now()).toBeLessThan(keyChange.endedAt + 6 * MINUTE)
    // One that began before the time was over decides nothing.
    expect(reEncrypted(proof)).toEqual([20, 0, 0])
    expect(proof.evidence.waitedMs).toBeGreaterThan(4 * MINUTE)
    expect(lines.join('\n')).toContain('do not tell which key they write under')
  })

  test('without a change of key nothing is waited for', async () => {
    await start(secretsOf({ one: 20 }))
    cluster.controlPlane.faults.forbid(isMetrics)
    const clock = new FakeClock()
    expect(await prove({ clock })).toMatchObject({ verdict: 'proved', evidence: { reason: 'forbidden' } })
    expect(clock.slept).toEqual([])
  })

  test('names that nobody knows count for nothing', async () => {
    await start(secretsOf({ one: 20 }))
    const clock = new FakeClock()
    const proof = await prove({ clock, writeKey: { kind: 'key', keyId: 'https://other.vault.azure.net/keys/a/b' } })
    expect(proof).toMatchObject({
      verdict: 'proved',
      evidence: { basis: 'passes', reason: 'other-names', servers: [{ state: 'unknown' }] }
    })
    expect(clock.slept).toEqual([])
  })
})

test('a key that no API server ever takes up is not proved', async () => {
  await start(secretsOf({ one: 20 }))
  const clock = new FakeClock()
  const proof = await prove({
    clock,
    writeKey: UNDER_SECOND,
    keyChange: { beganAt: clock.now(), endedAt: clock.now() }
  })
  expect(proof.verdict).toBe('not-settled')
  expect(lines).toContain('Waiting: no API server knows the cluster’s key yet.')
})

describe('KMS v1', () => {
  const v1 = (version: 1 | 2, name = 'azurekms0'): EncryptionConfiguration => [
    { kind: 'kms', apiVersion: 'v1', name, keyId: version === 1 ? FIRST_KEY_ID : SECOND_KEY_ID }
  ]

  test('with the key changed behind the name of the provider is told', async () => {
    await start(secretsOf({ one: 20 }), v1(1))
    const clock = new FakeClock()
    const beganAt = clock.now()
    await cluster.controlPlane.roll(v1(2))
    const proof = await prove({ clock, writeKey: UNDER_SECOND, keyChange: { beganAt, endedAt: clock.now() } })
    expect(proof.verdict).toBe('never-stale')
    expect(reEncrypted(proof).every((count) => count === 0)).toBe(true)
  })

  test('with another provider is proved as any other', async () => {
    await start(secretsOf({ one: 20 }), v1(1))
    const clock = new FakeClock()
    const beganAt = clock.now()
    await cluster.controlPlane.roll([...v1(2, 'azurekms1'), ...v1(1)])
    const proof = await prove({ clock, writeKey: UNDER_SECOND, keyChange: { beganAt, endedAt: clock.now() } })
    expect(proof.verdict).toBe('proved')
    expect(reEncrypted(proof)).toEqual([20, 0])
  })
})

describe('a Secret that others write all the time', () => {
  const PATH = '/api/v1/namespaces/one/secrets/secret-00007'
  const isOurs = ({ verb, path, user }: SeenRequest) => verb === 'patch' && path === PATH && user.username === 'runner'
  const empty = (request: SeenRequest) => isOurs(request) && !request.query.has('dryRun')
  const rewrite = () =>
    cluster.controlPlane.request('PATCH', PATH, { metadata: { annotations: { at: String(Math.random()) } } })

  test('is not taken for one that was stale', async () => {
    await start(secretsOf({ one: 20 }))
    const write = { kind: 'meanwhile', does: rewrite } as const
    const between = cluster.controlPlane.faults.inject(write, { when: empty, times: 4 })
    const proof = await prove()
    expect(between.struck).toBe(4)
    expect(proof.verdict).toBe('proved')
    // Two passes that took it for stale, and one that saw it overtaken twice.
    expect(reEncrypted(proof)).toEqual([1, 1, 0])
  })

  test('and that can’t be caught between two writes is a failure, not a guess', async () => {
    await start(secretsOf({ one: 20 }))
    const write = { kind: 'meanwhile', does: rewrite } as const
    cluster.controlPlane.faults.inject(write, { when: empty, times: Infinity })
    const proof = await prove({ mostPasses: 4 })
    expect(proof.verdict).toBe('failed')
    expect(proof.passes.at(-1)?.failures).toMatchObject([
      { name: 'secret-00007', permanence: 'transient', status: 422 }
    ])
  })

  test('does not keep the look at the API servers from agreeing', async () => {
    await start(secretsOf({ one: 20 }))
    // From the second look at this Secret on; the first one is the pass’s own.
    cluster.controlPlane.faults.inject(
      { kind: 'meanwhile', does: rewrite },
      { when: isOurs, after: 1, times: Infinity }
    )
    expect(await prove({ clock: new FakeClock(0.4) })).toMatchObject({ verdict: 'proved', passes: [{}] })
  })
})

test('what was counted before it was broken off is told', async () => {
  await start(secretsOf({ one: 50 }))
  const broken = new AbortController()
  let patches = 0
  cluster.controlPlane.faults.observe(({ request }) => {
    if (request.verb === 'patch' && ++patches === 30) broken.abort(new Error('cancelled'))
  })
  const proof = await prove({ signal: broken.signal })
  expect(proof.brokenOff?.error).toMatchObject({ message: 'cancelled' })
  expect(proof.passes).toMatchObject([{ complete: false }])
  const counted = proof.passes[0]?.counts.total ?? 0
  expect(counted).toBeGreaterThan(10)
  expect(counted).toBeLessThan(50)
})

test('no more requests are under way than permitted', async () => {
  await start(secretsOf({ one: 100 }))
  let underWay = 0
  let most = 0
  const enter = { kind: 'meanwhile', does: () => Promise.resolve((most = Math.max(most, ++underWay))) } as const
  const patch = ({ verb }: SeenRequest) => verb === 'patch'
  cluster.controlPlane.faults.inject(enter, { when: patch, times: Infinity })
  cluster.controlPlane.faults.inject({ kind: 'delay', milliseconds: 5 }, { when: patch, times: Infinity })
  cluster.controlPlane.faults.observe(({ request }) => {
    if (request.verb === 'patch') underWay--
  })
  expect(await prove({ maxConcurrency: 3 })).toMatchObject({ verdict: 'proved' })
  expect(most).toBe(3)
})
