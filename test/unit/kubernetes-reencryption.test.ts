import { setTimeout as sleep } from 'node:timers/promises'

import type { ServerHttp2Stream } from 'node:http2'

import { afterEach, expect, test } from '@jest/globals'

import { Api } from '../../src/kubernetes/api.ts'
import { reencryptSecrets } from '../../src/kubernetes/reencryption.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { startHttp2Server, type Http2Server } from '../fixtures/http2-server.ts'

const NAMES = Array.from({ length: 40 }, (_, index) => `secret-${String(index).padStart(2, '0')}`)

let server: Http2Server
let api: Api
let clock: FakeClock
afterEach(async () => {
  api.close()
  await server.stop()
})

/** An API server with one namespace, which leaves patches to the test. */
async function start(onPatch: (stream: ServerHttp2Stream) => void): Promise<void> {
  server = await startHttp2Server((stream, { ':method': method, ':path': path = '' }) => {
    if (method === 'PATCH') onPatch(stream)
    else answer(stream, 200, tableOf(path.startsWith('/api/v1/namespaces?') ? ['shop'] : NAMES))
  })
  clock = new FakeClock()
  api = new Api({ endpoint: server.endpoint, clock })
}

function answer(stream: ServerHttp2Stream | undefined, status: number, body: unknown): void {
  stream?.respond({ ':status': status })
  stream?.end(JSON.stringify(body))
}

const tableOf = (names: readonly string[]) => ({
  kind: 'Table',
  apiVersion: 'meta.k8s.io/v1',
  metadata: { resourceVersion: '100' },
  columnDefinitions: [{ name: 'Name' }],
  rows: names.map((name) => ({ cells: [name] }))
})

const SETTLING_MS = 100

test('once requests wait in the API server, others follow together when two thirds of those that wait are answered', async () => {
  const patches: ServerHttp2Stream[] = []
  await start((stream) => patches.push(stream))
  let outcomes = 0
  const walk = reencryptSecrets({ api, maxConcurrency: 8, onOutcome: () => outcomes++ })
  const underWay = () => patches.length - outcomes
  const answerNext = async (): Promise<void> => {
    answer(patches[outcomes], 200, tableOf([]))
    for (const before = outcomes; outcomes === before;) await sleep(1)
  }
  const until = async (expected: number): Promise<void> => {
    while (underWay() < expected) await sleep(1)
  }

  // Eight that took 10 ms each, and eight that took 40 ms: of eight under way six wait.
  for (const latency of [10, 40]) {
    await until(8)
    clock.advance(latency)
    for (let i = 0; i < 8; i++) {
      await answerNext()
      await until(8)
    }
  }
  for (const expected of [7, 6, 5, 8, 7]) {
    await answerNext()
    await until(expected)
    await sleep(SETTLING_MS)
    expect(underWay()).toBe(expected)
  }

  while (outcomes < NAMES.length) {
    await until(1)
    await answerNext()
  }
  await walk
  expect(outcomes).toBe(NAMES.length)
})

test('after what stands in the way of every Secret, no patch follows', async () => {
  let patches = 0
  await start((stream) => {
    patches++
    const message = 'secrets "secret-00" is forbidden: User "u" cannot patch resource "secrets" in API group ""'
    answer(stream, 403, { kind: 'Status', reason: 'Forbidden', message })
  })
  await expect(reencryptSecrets({ api, maxConcurrency: 4, onOutcome: () => {} })).rejects.toMatchObject({
    code: 'secrets-forbidden'
  })
  await sleep(SETTLING_MS)
  expect(patches).toBe(4)
})
