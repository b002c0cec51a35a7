import { setTimeout as sleep } from 'node:timers/promises'

import type { ServerHttp2Stream } from 'node:http2'

import { afterEach, expect, test } from '@jest/globals'

import { Api } from '../../src/kubernetes/api.ts'
import { reencryptSecrets } from '../../src/kubernetes/reencryption.ts'
import { startHttp2Server, type Http2Server } from '../fixtures/http2-server.ts'

const NAMES = Array.from({ length: 20 }, (_, index) => `secret-${String(index).padStart(2, '0')}`)

let server: Http2Server
let api: Api
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
  api = new Api({ endpoint: server.endpoint })
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

test('when as many patches are under way as may be, others follow together once a fifth has been answered', async () => {
  const patches: ServerHttp2Stream[] = []
  await start((stream) => patches.push(stream))
  let outcomes = 0
  const walk = reencryptSecrets({ api, maxConcurrency: 8, onOutcome: () => outcomes++ })
  for (const [answered, expected] of [8, 8, 10, 10, 12].entries()) {
    if (answered > 0) answer(patches[answered - 1], 200, tableOf([]))
    while (patches.length < expected) await sleep(1)
    await sleep(SETTLING_MS)
    expect(patches).toHaveLength(expected)
  }

  for (let next = 4; next < NAMES.length; next++) {
    while (patches.length <= next) await sleep(1)
    answer(patches[next], 200, tableOf([]))
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
