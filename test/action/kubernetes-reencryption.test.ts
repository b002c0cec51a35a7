import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

import { afterEach, describe, expect, test } from '@jest/globals'

import type { Api } from '../../src/kubernetes/api.ts'
import { proveSecrets, type ProofOptions } from '../../src/kubernetes/proof.ts'
import { reencryptSecrets } from '../../src/kubernetes/reencryption.ts'
import {
  countOutcome,
  NO_SECRETS,
  type ProofProgress,
  type SecretOutcome,
  type SecretTally
} from '../../src/model/secrets.ts'
import type { SeenRequest } from '../../testbed/embedded-apiserver/faults.ts'
import {
  CANARY,
  FIRST_KEY,
  NO_KEY,
  SECOND_KEY,
  SECOND_KEY_ID,
  SECOND_PROVIDER,
  secretsOf,
  startEmbeddedCluster,
  type EmbeddedCluster
} from '../fixtures/embedded-cluster.ts'

let cluster: EmbeddedCluster
afterEach(() => cluster.stop())

const start = async (...args: Parameters<typeof startEmbeddedCluster>) => {
  cluster = await startEmbeddedCluster(...args)
  return cluster
}

async function walk(api: Api = cluster.api(), pageSize = 500, outcomes: SecretOutcome[] = []) {
  await reencryptSecrets({ api, pageSize, onOutcome: (outcome) => outcomes.push(outcome) })
  return outcomes
}

function count(outcomes: readonly SecretOutcome[]): SecretTally {
  const tally = { ...NO_SECRETS }
  for (const outcome of outcomes) countOutcome(tally, outcome)
  return tally
}

const failuresOf = (outcomes: readonly SecretOutcome[]) => outcomes.filter((outcome) => outcome.kind === 'failed')

/** How many stored Secrets there are of each provider. */
async function providers(): Promise<Record<string, number>> {
  const stored = await cluster.controlPlane.storedSecrets()
  return stored.reduce<Record<string, number>>(
    (counts, { provider }) => ({ ...counts, [provider]: (counts[provider] ?? 0) + 1 }),
    {}
  )
}

const secretPath = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/secrets/${name}`

async function rewrite(namespace: string, name: string, text: string): Promise<void> {
  const data = { value: Buffer.from(text).toString('base64') }
  const { status } = await cluster.controlPlane.request(
    'PATCH',
    secretPath(namespace, name),
    { data },
    {
      'content-type': 'application/merge-patch+json'
    }
  )
  expect(status).toBe(200)
}

/** Counts connections on their way to the port. */
async function startForwarder(port: number) {
  let connections = 0
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    connections++
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    const onwards = connect(port, '127.0.0.1')
    socket.pipe(onwards).pipe(socket)
    socket.on('error', () => onwards.destroy())
    onwards.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    open,
    get connections() {
      return connections
    },
    stop: () => server.close()
  }
}

const ofRunner = ({ user }: SeenRequest) => user.username === 'runner'
const isPatch = (request: SeenRequest) => ofRunner(request) && request.verb === 'patch'
const isSecretList = (request: SeenRequest) =>
  ofRunner(request) && request.verb === 'list' && request.plural === 'secrets'

describe('a walk', () => {
  test('re-encrypts every Secret after a change of key, each once, and the next finds nothing to do', async () => {
    await start(secretsOf({ one: 1203, two: 1, three: 40 }))
    expect(count(await walk())).toEqual({ ...NO_SECRETS, total: 1244, alreadyCurrent: 1244 })
    await cluster.controlPlane.roll(SECOND_KEY)
    const outcomes = await walk()
    expect(count(outcomes)).toEqual({ ...NO_SECRETS, total: 1244, reEncrypted: 1244 })
    expect(outcomes.filter(({ namespace }) => namespace === 'three')).toHaveLength(40)
    expect(await providers()).toEqual({ [SECOND_PROVIDER]: 1244 })
    expect(count(await walk())).toEqual({ ...NO_SECRETS, total: 1244, alreadyCurrent: 1244 })
  })

  test.each([
    ['KMS is switched on', NO_KEY, FIRST_KEY, 'k8s:enc:kms:v2:azurekms0'],
    ['KMS is switched off', FIRST_KEY, [...NO_KEY, ...FIRST_KEY.slice(0, 1)], 'identity']
  ])('re-encrypts when %s', async (_, before, after, provider) => {
    await start(secretsOf({ one: 30 }), before)
    await cluster.controlPlane.roll(after)
    expect(count(await walk())).toMatchObject({ total: 30, reEncrypted: 30 })
    expect(await providers()).toEqual({ [provider]: 30 })
  })

  test('of a cluster without Secrets', async () => {
    await start()
    expect(await walk()).toEqual([])
  })

  test('changes nothing in a Secret, and receives no value, label or annotation of one', async () => {
    const secrets = secretsOf({ one: 600 })
    await start(secrets)
    await cluster.controlPlane.roll(SECOND_KEY)
    const received: string[] = []
    const sent: string[] = []
    const stop = cluster.controlPlane.faults.observe(({ request, body }) => {
      if (!ofRunner(request)) return
      received.push(body)
      sent.push(request.verb)
    })
    await walk()
    stop()
    expect(received.length).toBeGreaterThan(600)
    expect(new Set(sent)).toEqual(new Set(['list', 'patch']))
    for (const body of received) {
      expect(body).not.toContain(CANARY)
      expect(body).not.toContain(Buffer.from(CANARY).toString('base64').slice(0, 20))
    }
    const { body } = await cluster.controlPlane.request('GET', secretPath('one', 'secret-00007'))
    expect(body).toMatchObject({ data: secrets[7]?.data, metadata: { annotations: secrets[7]?.annotations } })
    expect(body).not.toHaveProperty('metadata.managedFields')
  })

  test('beside another writer loses none of its writes', async () => {
    await start(secretsOf({ one: 2400 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    const walked = new AbortController()
    let writes = 0
    const write = async () => {
      for (; !walked.signal.aborted; writes++) {
        const index = (writes * 37) % 2400
        await rewrite('one', `secret-${String(index).padStart(5, '0')}`, `written-${index}`)
      }
    }
    const writing = write()
    const outcomes = await walk()
    walked.abort()
    await writing
    const { reEncrypted, alreadyCurrent, ...rest } = count(outcomes)
    expect({ ...rest, settled: reEncrypted + alreadyCurrent }).toEqual({
      total: 2400,
      gone: 0,
      failed: 0,
      failedForGood: 0,
      settled: 2400
    })
    expect(await providers()).toEqual({ [SECOND_PROVIDER]: 2400 })
    expect(writes).toBeGreaterThan(20)
    for (let i = 0; i < 20; i++) {
      const index = (i * 37) % 2400
      const { body } = await cluster.controlPlane.request(
        'GET',
        secretPath('one', `secret-${String(index).padStart(5, '0')}`)
      )
      expect(body).toMatchObject({ data: { value: Buffer.from(`written-${index}`).toString('base64') } })
    }
  })

  test('finds Secrets gone that were deleted after they were listed', async () => {
    await start(secretsOf({ one: 300 }))
    const doomed = ['secret-00100', 'secret-00200', 'secret-00299']
    cluster.controlPlane.faults.inject(
      {
        kind: 'meanwhile',
        does: () => Promise.all(doomed.map((name) => cluster.controlPlane.request('DELETE', secretPath('one', name))))
      },
      { when: isPatch }
    )
    expect(count(await walk())).toMatchObject({ total: 300, alreadyCurrent: 297, gone: 3 })
  })

  test('takes a Secret that was made anew under the same name', async () => {
    await start(secretsOf({ one: 50 }))
    const path = secretPath('one', 'secret-00049')
    cluster.controlPlane.faults.inject(
      {
        kind: 'meanwhile',
        does: async () => {
          await cluster.controlPlane.request('DELETE', path)
          await cluster.controlPlane.seed(secretsOf({ one: 50 }).slice(-1))
        }
      },
      { when: (request) => isPatch(request) && request.name === 'secret-00049' }
    )
    expect(count(await walk())).toMatchObject({ total: 50, reEncrypted: 1, alreadyCurrent: 49 })
  })

  test('takes in namespaces that appear, and bears those that vanish', async () => {
    await start(secretsOf({ first: 100, second: 100 }))
    cluster.controlPlane.faults.inject(
      {
        kind: 'meanwhile',
        does: async () => {
          await cluster.controlPlane.seed(secretsOf({ appeared: 7 }))
          for (const { namespace, name } of secretsOf({ second: 100 })) {
            await cluster.controlPlane.request('DELETE', secretPath(namespace, name))
          }
          await cluster.controlPlane.request('DELETE', '/api/v1/namespaces/second')
        }
      },
      { when: (request) => isPatch(request) && request.namespace === 'first' }
    )
    // So that not all of it is patched before it goes.
    cluster.controlPlane.faults.inject(
      { kind: 'delay', milliseconds: 50 },
      { when: (request) => isPatch(request) && request.namespace === 'second', times: Infinity }
    )
    const outcomes = await walk()
    expect(count(outcomes.filter(({ namespace }) => namespace === 'first'))).toMatchObject({
      total: 100,
      alreadyCurrent: 100
    })
    expect(outcomes.filter(({ namespace }) => namespace === 'appeared')).toHaveLength(7)
    const second = count(outcomes.filter(({ namespace }) => namespace === 'second'))
    expect(second).toMatchObject({ failed: 0, reEncrypted: 0, total: second.gone + second.alreadyCurrent })
    expect(second.gone).toBeGreaterThan(0)
  })

  test('misses nothing when the list expires under way', async () => {
    await start(secretsOf({ one: 1000 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    for (const after of [3, 12]) {
      cluster.controlPlane.faults.inject(
        {
          kind: 'meanwhile',
          does: async () => {
            await rewrite('one', 'secret-00999', `later-${after}`)
            cluster.controlPlane.faults.compact()
          }
        },
        { when: isSecretList, after }
      )
    }
    let expired = 0
    const stop = cluster.controlPlane.faults.observe(({ status }) => void (expired += Number(status === 410)))
    const outcomes = await walk(cluster.api(), 50)
    stop()
    expect(expired).toBeGreaterThanOrEqual(2)
    expect(count(outcomes)).toMatchObject({ total: 1000, failed: 0 })
    expect(await providers()).toEqual({ [SECOND_PROVIDER]: 1000 })
  })
})

describe('passing failures are got over:', () => {
  test.each([
    ['429 with Retry-After', { kind: 'answer', status: 429, retryAfter: 1 }, 20],
    ['500 of etcd', { kind: 'answer', status: 500 }, 2],
    ['502', { kind: 'answer', status: 502 }, 10],
    ['503', { kind: 'answer', status: 503 }, 10],
    ['504', { kind: 'answer', status: 504 }, 10],
    ['resets before the request was carried out', { kind: 'reset', carriedOut: false }, 5],
    ['resets after it', { kind: 'reset', carriedOut: true }, 5],
    ['GOAWAY before it was processed', { kind: 'goaway', answered: false }, 5],
    ['GOAWAY after it', { kind: 'goaway', answered: true }, 5],
    ['refused streams', { kind: 'refused-stream' }, 5],
    ['answers that break off', { kind: 'truncated' }, 5]
  ] as const)('%s', async (_, fault, times) => {
    await start(secretsOf({ one: 400 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    const patches = cluster.controlPlane.faults.inject(fault, { when: isPatch, after: 100, times })
    const lists = cluster.controlPlane.faults.inject(fault, { when: isSecretList, after: 2, times: 2 })
    expect(count(await walk(cluster.api(), 50))).toEqual({ ...NO_SECRETS, total: 400, reEncrypted: 400 })
    expect([patches.struck, lists.struck]).toEqual([times, 2])
    expect(await providers()).toEqual({ [SECOND_PROVIDER]: 400 })
  })

  test('a roll of the API server in the middle', async () => {
    await start(secretsOf({ one: 2000 }))
    cluster.controlPlane.faults.inject(
      { kind: 'meanwhile', does: () => cluster.controlPlane.roll(SECOND_KEY) },
      { when: isPatch, after: 500 }
    )
    const first = count(await walk())
    expect(first).toMatchObject({ total: 2000, gone: 0, failed: 0 })
    const second = count(await walk())
    expect(first.reEncrypted + second.reEncrypted).toBe(2000)
    expect(await providers()).toEqual({ [SECOND_PROVIDER]: 2000 })
  })
})

describe('lasting failures', () => {
  test('of single Secrets are told, and stop nothing', async () => {
    await start(secretsOf({ one: 60, guarded: 5 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    const { faults } = cluster.controlPlane
    faults.denyByWebhook('guarded', 'secret-00002')
    await faults.makeInvalid('one', 'secret-00010')
    // A list from etcd fails as a whole; one from the watch cache does not notice.
    faults.inject(
      { kind: 'meanwhile', does: async () => faults.corrupt('one', 'secret-00050') },
      { when: (request) => isPatch(request) && request.namespace === 'one' }
    )
    const outcomes = await walk()
    expect(count(outcomes)).toMatchObject({ total: 65, reEncrypted: 62, failed: 3 })
    expect(failuresOf(outcomes)).toEqual(
      expect.arrayContaining([
        {
          kind: 'failed',
          namespace: 'guarded',
          name: 'secret-00002',
          permanence: 'permanent',
          status: 403,
          reason: expect.stringContaining('denied the request')
        },
        {
          kind: 'failed',
          namespace: 'one',
          name: 'secret-00010',
          permanence: 'permanent',
          status: 422,
          reason: 'Invalid: data[ssh-privatekey] FieldValueRequired'
        },
        {
          kind: 'failed',
          namespace: 'one',
          name: 'secret-00050',
          permanence: 'permanent',
          status: 500,
          reason: expect.stringContaining('message authentication failed')
        }
      ])
    )
    expect(JSON.stringify(failuresOf(outcomes))).not.toContain(CANARY)
  })

  test('that others do not share are transient after a while', async () => {
    await start(secretsOf({ one: 60 }))
    const isCursed = (request: SeenRequest) => isPatch(request) && request.name === 'secret-00030'
    cluster.controlPlane.faults.inject({ kind: 'answer', status: 503 }, { when: isCursed, times: Infinity })
    const outcomes = await walk(cluster.api({ patience: 1500 }))
    expect(count(outcomes)).toMatchObject({ total: 60, alreadyCurrent: 59, failed: 1 })
    expect(failuresOf(outcomes)).toMatchObject([{ name: 'secret-00030', permanence: 'transient', status: 503 }])
  })

  test('that all share end the walk', async () => {
    await start(secretsOf({ one: 300 }))
    cluster.controlPlane.faults.inject(
      { kind: 'reset', carriedOut: false },
      { when: isPatch, after: 30, times: Infinity }
    )
    await expect(walk(cluster.api({ patience: 1500 }))).rejects.toMatchObject({
      code: 'api-server-unreachable',
      message: expect.stringMatching(/127\.0\.0\.1:\d+ did not answer this runner for 2 s/)
    })
  })

  test('of a listing end the walk: there is no partial one', async () => {
    await start(secretsOf({ one: 100 }))
    cluster.controlPlane.faults.inject(
      { kind: 'answer', status: 500 },
      { when: isSecretList, after: 5, times: Infinity }
    )
    await expect(walk(cluster.api(), 10)).rejects.toMatchObject({ code: 'secrets-listing-failed' })
  })

  test('of a Secret that can’t be decrypted, where the list comes from etcd, end it with its name', async () => {
    await start(secretsOf({ one: 10 }))
    cluster.controlPlane.faults.corrupt('one', 'secret-00005')
    await expect(walk()).rejects.toMatchObject({
      code: 'secrets-listing-failed',
      message: expect.stringContaining('/registry/secrets/one/secret-00005')
    })
  })

  test('without the permission', async () => {
    await start(secretsOf({ one: 10 }))
    const nobody = cluster.api({ endpoint: cluster.endpointFor('nobody') })
    await expect(walk(nobody)).rejects.toMatchObject({
      code: 'secrets-forbidden',
      message: expect.stringContaining('"nobody"')
    })
  })

  test('with a credential that is not known', async () => {
    await start(secretsOf({ one: 10 }))
    const stranger = cluster.api({ endpoint: cluster.endpointFor('stranger') })
    await expect(walk(stranger)).rejects.toMatchObject({ code: 'kubernetes-unauthorized' })
  })
})

test('a credential that is withdrawn under way ends the walk', async () => {
  await start(secretsOf({ one: 60 }))
  const { endpoint } = cluster
  const strange = await cluster.endpointFor('stranger').credential()
  let rejected = 0
  let asked = 0
  const withdrawn = {
    ...endpoint,
    credential: async () => (++asked > 30 ? strange : await endpoint.credential()),
    rejectCredential: () => {
      rejected++
    }
  }
  const outcomes: SecretOutcome[] = []
  const walking = walk(cluster.api({ endpoint: withdrawn }), 500, outcomes)
  await expect(walking).rejects.toMatchObject({ code: 'kubernetes-unauthorized' })
  expect(count(outcomes)).toMatchObject({ failed: 0 })
  expect(rejected).toBeGreaterThan(0)
})

test('a credential that has expired is replaced under way', async () => {
  await start(secretsOf({ one: 60 }))
  const { endpoint } = cluster
  const strange = await cluster.endpointFor('stranger').credential()
  let expired = false
  let asked = 0
  const renewed = {
    ...endpoint,
    async credential() {
      if (++asked === 30) expired = true
      return expired ? strange : await endpoint.credential()
    },
    rejectCredential() {
      expired = false
    }
  }
  expect(count(await walk(cluster.api({ endpoint: renewed })))).toMatchObject({ total: 60, alreadyCurrent: 60 })
})

describe('an abort ends a walk within a second', () => {
  test.each([
    ['while patches are under way', { kind: 'delay', milliseconds: 2000 }, isPatch],
    ['while they wait to be tried again', { kind: 'answer', status: 429, retryAfter: 30 }, isPatch],
    ['while a list is under way', { kind: 'delay', milliseconds: 2000 }, isSecretList]
  ] as const)('%s', async (_, fault, when) => {
    await start(secretsOf({ one: 500 }))
    cluster.controlPlane.faults.inject(fault, { when, times: Infinity })
    const aborting = new AbortController()
    const reason = new Error('cancelled')
    let abortedAt = Infinity
    setTimeout(() => {
      abortedAt = Date.now()
      aborting.abort(reason)
    }, 300)
    await expect(walk(cluster.api({ signal: aborting.signal }))).rejects.toBe(reason)
    expect(Date.now() - abortedAt).toBeLessThan(1000)
  })
})

describe('a proof', () => {
  const prove = (options: Partial<ProofOptions> = {}) =>
    proveSecrets({ endpoint: cluster.endpoint, writeKey: { kind: 'unknown' }, ...options })
  const counts = (proof: Awaited<ReturnType<typeof prove>>) => proof.passes.map((pass) => pass.counts)

  test('is one pass where nothing is stale', async () => {
    await start(secretsOf({ one: 50 }))
    const proof = await prove()
    expect(proof.verdict).toBe('proved')
    expect(counts(proof)).toEqual([{ ...NO_SECRETS, total: 50, alreadyCurrent: 50 }])
  })

  test('is a whole pass in which nothing was stale any more', async () => {
    await start(secretsOf({ one: 50, two: 20 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    const proof = await prove()
    expect(proof.verdict).toBe('proved')
    expect(counts(proof)).toEqual([
      { ...NO_SECRETS, total: 70, reEncrypted: 70 },
      { ...NO_SECRETS, total: 70, alreadyCurrent: 70 }
    ])
    expect(Object.fromEntries(proof.passes[0]?.byNamespace ?? [])).toEqual({
      one: { ...NO_SECRETS, total: 50, reEncrypted: 50 },
      two: { ...NO_SECRETS, total: 20, reEncrypted: 20 }
    })
  })

  test('of a cluster without Secrets', async () => {
    await start()
    expect(await prove()).toMatchObject({ verdict: 'proved', passes: [{ counts: NO_SECRETS }] })
  })

  test('ends when permanent failures remain, and leaves nothing else undone', async () => {
    await start(secretsOf({ one: 50, guarded: 5 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    cluster.controlPlane.faults.denyByWebhook('guarded')
    const proof = await prove()
    expect(proof.verdict).toBe('failed')
    expect(counts(proof)).toEqual([
      { ...NO_SECRETS, total: 55, reEncrypted: 50, failed: 5, failedForGood: 5 },
      { ...NO_SECRETS, total: 55, alreadyCurrent: 50, failed: 5, failedForGood: 5 }
    ])
    expect(proof.passes[1]?.failures).toHaveLength(5)
  })

  test('meets permanent failures twice before it gives up', async () => {
    await start(secretsOf({ guarded: 5 }))
    cluster.controlPlane.faults.denyByWebhook('guarded', 'secret-00001')
    const proof = await prove()
    expect(proof.verdict).toBe('failed')
    expect(counts(proof).map(({ failed }) => failed)).toEqual([1, 1])
  })

  test('is not kept from telling what is wrong by the count before it', async () => {
    await start(secretsOf({ one: 5 }))
    cluster.controlPlane.faults.corrupt('one', 'secret-00000')
    expect(await prove()).toMatchObject({
      brokenOff: { error: { code: 'secrets-listing-failed' } },
      passes: [{ complete: false }]
    })
  })

  test('goes on when a denial was lifted', async () => {
    await start(secretsOf({ guarded: 5 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    const lift = cluster.controlPlane.faults.denyByWebhook('guarded', 'secret-00001')
    const proof = await prove({ onProgress: ({ passEnded }) => passEnded && lift() })
    expect(proof.verdict).toBe('proved')
    expect(counts(proof).map(({ reEncrypted }) => reEncrypted)).toEqual([4, 1, 0])
  })

  test('is given up after so many passes that still re-encrypted', async () => {
    await start(secretsOf({ one: 50 }))
    const rolls = [SECOND_KEY, FIRST_KEY]
    let passes = 0
    const flip = () => cluster.controlPlane.roll([...(rolls[passes++ % 2] ?? []), ...SECOND_KEY])
    await flip()
    const proof = await prove({
      mostPasses: 3,
      clock: {
        now: Date.now,
        random: Math.random,
        sleep: flip
      }
    })
    expect(proof.verdict).toBe('not-settled')
    expect(counts(proof).map(({ reEncrypted }) => reEncrypted)).toEqual([50, 50, 50])
  })

  test('after a change of key waits until an API server knows of it', async () => {
    await start(secretsOf({ one: 20 }))
    const writeKey = { kind: 'key', keyId: SECOND_KEY_ID } as const
    let waits = 0
    const sleep = async () => {
      if (++waits === 2) await cluster.controlPlane.roll(SECOND_KEY)
    }
    const clock = { now: Date.now, random: Math.random, sleep }
    const keyChange = { beganAt: Date.now(), endedAt: Date.now() }
    const proof = await prove({ writeKey, keyChange, clock })
    expect(proof.verdict).toBe('proved')
    expect(waits).toBeGreaterThanOrEqual(2)
    expect(counts(proof).map(({ reEncrypted }) => reEncrypted)).toEqual([20, 0])
    expect(await prove({ writeKey, keyChange, clock, mostPasses: 3 })).toMatchObject({
      verdict: 'not-settled',
      passes: [{}, {}, {}]
    })
  })

  test('meets the API servers by new connections in every pass', async () => {
    await start(secretsOf({ one: 50 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    const forwarder = await startForwarder(Number(cluster.endpoint.server.port))
    const endpoint = { ...cluster.endpoint, server: new URL(`https://127.0.0.1:${forwarder.port}`) }
    const connectionsAfterPass: number[] = []
    const proof = await prove({ endpoint, onProgress: () => connectionsAfterPass.push(forwarder.connections) })
    forwarder.stop()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(forwarder.open.size).toBe(0)
    expect(proof.passes).toHaveLength(2)
    expect(connectionsAfterPass).toEqual([4, 8])
  })

  test('tells how far it has come, at the end of each pass and every 10 s', async () => {
    await start(secretsOf({ one: 50 }))
    await cluster.controlPlane.roll(SECOND_KEY)
    const seen: ProofProgress[] = []
    await prove({ onProgress: (progress) => seen.push(progress) })
    expect(seen).toMatchObject([
      { pass: 1, passEnded: true, listed: 50, settled: 50, reEncrypted: 50, failed: 0, expectedTotal: 50 },
      { pass: 2, passEnded: true, listed: 50, settled: 50, reEncrypted: 0, failed: 0, expectedTotal: 50 }
    ])
  })
})
