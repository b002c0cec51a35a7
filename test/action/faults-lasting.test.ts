import { setInterval as everySoOften } from 'node:timers'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'

import type { Fault, SeenRequest } from '../../testbed/embedded-apiserver/faults.ts'
import { RUNNER } from '../fixtures/embedded-cluster.ts'
import { Everywhere, isMetrics, isNamespaces, isPatch, nameOf, type Run, type Scene } from './everywhere.ts'

/** One kind of request goes wrong each time, and never stops doing so: the proof ends all the same, with the right verdict. */

let everywhere: Everywhere
let scene: Scene
let undo: (() => unknown)[]

beforeAll(async () => {
  everywhere = await Everywhere.start()
})
afterAll(() => everywhere.stop())
beforeEach(async () => {
  scene = await everywhere.changeKey()
  undo = []
})
/** Nothing that lasts is left, and every Secret is under the present key for the next test. */
afterEach(async () => {
  for (const remove of undo) await remove()
  const run = await everywhere.prove({ keyChange: undefined })
  expect(await everywhere.problemsOf(run, scene)).toEqual([])
})

type When = (request: SeenRequest) => boolean

const isSecretList: When = ({ verb, plural, namespace }) =>
  verb === 'list' && plural === 'secrets' && namespace === 'one'
const isEstimate: When = ({ path }) => path === '/api/v1/secrets'
const isLeases: When = ({ plural }) => plural === 'leases'
const isOnePatch: When = (request) => isPatch(request) && nameOf(request) === 'one/secret-00001'

const json = { 'content-type': 'application/json' }
const replaced = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Fault => ({
  kind: 'replaced',
  status,
  headers,
  body
})
const html = replaced(200, '<html><title>Sign in</title></html>', { 'content-type': 'text/html' })
const expired = JSON.stringify({ kind: 'Status', metadata: { continue: 'again' }, reason: 'Expired', code: 410 })
const pageAndMore = JSON.stringify({
  kind: 'Table',
  apiVersion: 'meta.k8s.io/v1',
  metadata: { resourceVersion: '5', continue: 'again' },
  columnDefinitions: [{ name: 'Name', type: 'string', format: 'name' }],
  rows: [{ cells: ['one'], object: null }]
})

/** A fault, or that no role permits the request. */
type Trouble = Fault | 'forbidden'

const trouble: Readonly<Record<string, Trouble>> = {
  'is forbidden': 'forbidden',
  'is not found': replaced(404, '404 page not found\n'),
  'has always expired': replaced(410, expired, json),
  'answers 429': { kind: 'answer', status: 429, retryAfter: 1 },
  'answers 500': { kind: 'answer', status: 500 },
  'answers 503': { kind: 'answer', status: 503 },
  'answers with a page of a proxy': html,
  'answers with nothing': replaced(200, ''),
  'answers with what is not gzip, as such': replaced(200, 'garbage', { 'content-encoding': 'gzip' }),
  'goes on for ever on the same page': replaced(200, pageAndMore, json),
  'is reset': { kind: 'reset', carriedOut: false },
  'is refused': { kind: 'refused-stream' },
  'meets GOAWAY': { kind: 'goaway', answered: false },
  'breaks off': { kind: 'truncated' }
}

function last(what: Trouble, which: When): void {
  const { faults } = everywhere.controlPlane
  const when: When = (request) => request.user.username === RUNNER && which(request)
  if (what === 'forbidden') undo.push(faults.forbid(when))
  else undo.push(faults.inject(what, { when, times: Infinity }).remove)
}

const codeOf = ({ proof }: Run): unknown => (proof.brokenOff?.error as { readonly code?: unknown } | undefined)?.code

describe.each([
  ['the list of the namespaces', isNamespaces],
  ['the list of the Secrets of a namespace', isSecretList]
])('%s', (_, when) => {
  test.each([
    ['is forbidden', 'secrets-forbidden'],
    ['is not found', 'secrets-listing-failed'],
    ['has always expired', 'secrets-listing-failed'],
    ['answers 429', 'secrets-listing-failed'],
    ['answers 500', 'secrets-listing-failed'],
    ['answers 503', 'secrets-listing-failed'],
    ['answers with a page of a proxy', 'secrets-listing-failed'],
    ['answers with nothing', 'secrets-listing-failed'],
    ['goes on for ever on the same page', 'secrets-listing-failed'],
    ['is reset', 'api-server-unreachable'],
    ['is refused', 'api-server-unreachable'],
    ['meets GOAWAY', 'api-server-unreachable'],
    ['breaks off', 'api-server-unreachable']
  ] as const)('%s: %s', async (name, code) => {
    last(trouble[name] ?? html, when)
    const run = await everywhere.prove({ signal: AbortSignal.timeout(10_000) })
    expect(codeOf(run)).toBe(code)
    expect(run.proof).toMatchObject({ verdict: 'not-settled', passes: [{ complete: false }] })
  })

  test('fails in a later pass than the first', async () => {
    const onProgress = ({ passEnded }: { readonly passEnded: boolean }): void => {
      if (passEnded) last({ kind: 'answer', status: 500 }, when)
    }
    const run = await everywhere.prove({ onProgress })
    expect(codeOf(run)).toBe('secrets-listing-failed')
    expect(run.proof.passes.map(({ complete }) => complete)).toEqual([true, false])
  })
})

describe('the count beforehand, which is for people', () => {
  test.each(['is forbidden', 'answers 429', 'answers 500', 'answers with a page of a proxy'])('%s', async (name) => {
    last(trouble[name] ?? html, isEstimate)
    const run = await everywhere.prove()
    expect(await everywhere.problemsOf(run, scene)).toEqual([])
  })
})

describe('the metrics', () => {
  async function expectProofByPasses(run: Run, reason: 'forbidden' | 'unreadable'): Promise<void> {
    const { verdict, evidence, passes } = run.proof
    expect(verdict).toBe('proved')
    expect(evidence).toMatchObject({ basis: 'passes', reason, servers: [] })
    expect(passes.map(({ counts }) => counts.reEncrypted)).toEqual([8, ...passes.slice(1).map(() => 0)])
    const problems = await everywhere.problemsOf(run, scene)
    expect(problems).toEqual([`the evidence is by passes: ${reason}`])
  }

  test.each(Object.keys(trouble))('%s', async (name) => {
    last(trouble[name] ?? html, isMetrics)
    const run = await everywhere.prove()
    await expectProofByPasses(run, name === 'is forbidden' ? 'forbidden' : 'unreadable')
  })

  test('never end, and flood the runner', async () => {
    last({ kind: 'endless', floods: true }, isMetrics)
    let most = 0
    const before = process.memoryUsage.rss()
    const watching = everySoOften(() => (most = Math.max(most, process.memoryUsage.rss() - before)), 20)
    const started = Date.now()
    const run = await everywhere.prove({ signal: AbortSignal.timeout(60_000) })
    clearInterval(watching)
    expect(run.proof.brokenOff).toBeUndefined()
    await expectProofByPasses(run, 'unreadable')
    expect(Date.now() - started).toBeLessThan(30_000)
    expect(most).toBeLessThan(500 << 20)
  })

  test('never end, and say nothing more', async () => {
    last({ kind: 'endless', floods: false }, isMetrics)
    const run = await inHaste(() => everywhere.prove())
    await expectProofByPasses(run, 'unreadable')
  })

  test('tell nothing, so that API servers get time to take up the key, and then there is another pass', async () => {
    last('forbidden', isMetrics)
    const { proof } = await everywhere.prove()
    expect(proof.evidence.waitedMs).toBeGreaterThan(4 * 60_000)
    expect(proof.passes).toHaveLength(3)
  })

  test('of one connection in three can’t be read', async () => {
    let asked = 0
    last({ kind: 'answer', status: 500 }, (request) => isMetrics(request) && ++asked % 3 === 0)
    const run = await everywhere.prove()
    expect(await everywhere.problemsOf(run, scene)).toEqual([])
  })
})

describe('the Leases', () => {
  test.each(Object.keys(trouble))('%s', async (name) => {
    last(trouble[name] ?? html, isLeases)
    const run = await everywhere.prove()
    expect(run.proof.evidence).toMatchObject({ basis: 'metrics', live: undefined })
    expect(await everywhere.problemsOf(run, scene)).toEqual([])
  })

  test('never come', async () => {
    last({ kind: 'endless', floods: false }, isLeases)
    const run = await inHaste(() => everywhere.prove())
    expect(run.proof.evidence).toMatchObject({ basis: 'metrics', live: undefined })
    expect(await everywhere.problemsOf(run, scene)).toEqual([])
  })

  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'

  /** As the Lease of another API server that was renewed so long ago. */
  async function plantLease(agoMs: number): Promise<void> {
    const name = 'apiserver-aaaaaaaaaaaaaaaaaaaaaaaaaa'
    const { controlPlane } = everywhere
    const renewTime = new Date(Date.now() - agoMs).toISOString().replace('Z', '000Z')
    const lease = {
      metadata: { name, labels: { 'apiserver.kubernetes.io/identity': 'kube-apiserver' } },
      spec: { holderIdentity: `${name}_x`, leaseDurationSeconds: 3600, renewTime }
    }
    undo.push(() => controlPlane.request('DELETE', `${leases}/${name}`))
    expect((await controlPlane.request('POST', leases, lease)).status).toBe(201)
  }

  test('of an API server that was killed a while ago is no more than that', async () => {
    await plantLease(60_000)
    const run = await everywhere.prove()
    expect(run.proof.evidence).toMatchObject({ live: 1, connections: 4, waitedMs: 0 })
    expect(await everywhere.problemsOf(run, scene)).toEqual([])
  })

  test('of an API server to which no connection leads keep nothing from being proved', async () => {
    await plantLease(-3_600_000)
    const run = await everywhere.prove()
    expect(run.proof.evidence.servers).toHaveLength(1)
    expect(run.proof.evidence.live).toBe(2)
    expect(await everywhere.problemsOf(run, scene)).toEqual([])
  })
})

describe('a patch of one Secret', () => {
  test.each([
    ['is not found by something in between', replaced(404, '404 page not found\n'), 404],
    ['answers 429', { kind: 'answer', status: 429, retryAfter: 1 }, 429],
    ['answers 500', { kind: 'answer', status: 500 }, 500],
    ['answers 503', { kind: 'answer', status: 503 }, 503],
    ['answers with a page of a proxy', html, 200],
    ['is reset', { kind: 'reset', carriedOut: false }, 0],
    ['is refused', { kind: 'refused-stream' }, 0],
    ['breaks off', { kind: 'truncated' }, 0]
  ] as const)('%s', async (_, fault, status) => {
    last(fault, isOnePatch)
    const { proof } = await everywhere.prove()
    expect(proof).toMatchObject({ verdict: 'failed', brokenOff: undefined })
    expect(proof.passes.at(-1)?.failures).toMatchObject([{ namespace: 'one', name: 'secret-00001', status }])
    for (const { complete, counts } of proof.passes) {
      expect(complete).toBe(true)
      expect(counts).toMatchObject({ total: 8, failed: 1, gone: 0 })
    }
  })

  test('is denied by a webhook', async () => {
    undo.push(everywhere.controlPlane.faults.denyByWebhook('one', 'secret-00001'))
    const { proof } = await everywhere.prove()
    expect(proof).toMatchObject({ verdict: 'failed', brokenOff: undefined })
    expect(proof.passes.map(({ counts }) => counts.failedForGood)).toEqual([1, 1])
    expect(proof.passes.map(({ counts }) => counts.reEncrypted)).toEqual([7, 0])
  })
})

describe('every patch', () => {
  test.each([
    ['is forbidden', 'secrets-forbidden'],
    ['answers 503', 'api-server-unreachable'],
    ['is reset', 'api-server-unreachable']
  ] as const)('%s: %s', async (name, code) => {
    last(trouble[name] ?? html, isPatch)
    expect(codeOf(await everywhere.prove())).toBe(code)
  })
})

/** After the pass that finds nothing stale, the API servers are asked to patch a few Secrets each. */
describe('every probe', () => {
  async function proveWith(trouble: () => void): Promise<Run> {
    return everywhere.prove({
      onProgress: ({ pass, passEnded }) => {
        if (passEnded && pass === 2) trouble()
      }
    })
  }

  test.each(['is forbidden', 'answers 500', 'answers 503', 'answers with a page of a proxy', 'is refused'])(
    '%s',
    async (name) => {
      const { proof } = await proveWith(() => last(trouble[name] ?? html, isPatch))
      expect(proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'metrics' } })
      expect(proof.passes).toHaveLength(2)
    }
  )

  test.each([['one'], ['one', 'two', 'three']])('is denied by a webhook in %s, %s, %s', async (...namespaces) => {
    const { faults } = everywhere.controlPlane
    const { proof } = await proveWith(() => undo.push(...namespaces.map((name) => faults.denyByWebhook(name))))
    expect(proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'metrics' } })
    expect(proof.passes).toHaveLength(2)
  })
})

/** What waits for an answer that does not come soon has waited long enough: a second passes each time that a few milliseconds do. */
async function inHaste<T>(work: () => Promise<T>): Promise<T> {
  jest.useFakeTimers({
    doNotFake: [
      'clearImmediate',
      'clearTimeout',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'setTimeout',
      'hrtime'
    ],
    now: Date.now()
  })
  const hurrying = everySoOften(() => jest.advanceTimersByTime(1_000), 10)
  try {
    return await work()
  } finally {
    clearInterval(hurrying)
    jest.useRealTimers()
  }
}
