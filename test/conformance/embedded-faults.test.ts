import { once } from 'node:events'
import { connect, constants, type ClientHttp2Session } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'

import { startEmbeddedControlPlane, type EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { overHttp1 } from './client.ts'
import { accept, mergePatch } from './media-types.ts'
import { authenticateToken, call, plant, tokens, type Subject } from './subject.ts'
import { inMemoryVault } from './vault.ts'

/** What tests inject into the embedded API server has to look to a client as it would in a cluster. */
describe('faults of the embedded API server', () => {
  let controlPlane: EmbeddedControlPlane
  let subject: Subject
  let session: ClientHttp2Session
  let path: string

  beforeAll(async () => {
    controlPlane = await startEmbeddedControlPlane({
      keyOperations: inMemoryVault(),
      authenticateToken,
      encryption: [
        { kind: 'kms', apiVersion: 'v2', name: 'slot0', keyId: 'https://v.vault.azure.net/keys/k/1' },
        { kind: 'identity' }
      ]
    })
    subject = { controlPlane, compact: () => Promise.resolve(), store: () => Promise.resolve() }
    path = await plant(subject, 'faults', 'secret')
  })
  afterAll(() => controlPlane.stop())
  beforeEach(() => {
    session = connect(controlPlane.server, { ca: controlPlane.certificateAuthority })
    session.on('error', () => undefined)
  })
  afterEach(() => session.destroy())

  interface Outcome {
    readonly status: number
    readonly headers: Readonly<Record<string, unknown>>
    readonly text: string
    /** The HTTP/2 error of the stream, where it did not end well. */
    readonly error: string | undefined
  }

  function request(
    method: string,
    on: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {}
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const stream = session.request({
        ':method': method,
        ':path': on,
        authorization: `Bearer ${tokens.operator}`,
        ...(body === undefined ? {} : { 'content-type': mergePatch }),
        ...headers
      })
      let status = 0
      let received: Readonly<Record<string, unknown>> = {}
      let text = ''
      let error: string | undefined
      stream.on('response', (answer) => {
        status = answer[':status'] ?? 0
        received = answer
      })
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
      stream.on('error', (problem: Error) => (error = problem.message))
      stream.on('close', () => resolve({ status, headers: received, text, error }))
      stream.end(body)
    })
  }

  const patch = (body = '{}'): Promise<Outcome> =>
    request('PATCH', `${path}?includeObject=None`, body, { accept: accept.table })
  const labels = async (): Promise<unknown> =>
    ((await controlPlane.request('GET', path)).body as { readonly metadata: { readonly labels?: unknown } }).metadata
      .labels

  test('too many requests say when to come again, once', async () => {
    const fault = controlPlane.faults.inject({ kind: 'answer', status: 429, retryAfter: 7 })
    expect(await patch()).toMatchObject({
      status: 429,
      headers: { 'retry-after': '7', 'content-type': 'text/plain; charset=utf-8' },
      text: 'Too many requests, please try again later.\n'
    })
    expect((await patch()).status).toBe(200)
    expect(fault.struck).toBe(1)
  })

  test.each([500, 502, 503, 504] as const)('%d is answered, and nothing is carried out', async (status) => {
    controlPlane.faults.inject({ kind: 'answer', status })
    expect((await patch(`{"metadata":{"labels":{"failed":"${status}"}}}`)).status).toBe(status)
    expect(await labels()).toBeUndefined()
  })

  test('a fault strikes the requests it is meant for, after some and as often as told', async () => {
    const patches = controlPlane.faults.inject(
      { kind: 'answer', status: 503 },
      {
        when: ({ verb, namespace, name }) => verb === 'patch' && namespace === 'faults' && name === 'secret',
        after: 1,
        times: 2
      }
    )
    const statuses = []
    for (let turn = 0; turn < 4; turn++) {
      statuses.push((await patch()).status, (await request('GET', path)).status)
    }
    expect(statuses).toEqual([200, 200, 503, 200, 503, 200, 200, 200])
    expect(patches.struck).toBe(2)
    const removed = controlPlane.faults.inject({ kind: 'answer', status: 503 }, { times: Infinity })
    removed.remove()
    expect((await patch()).status).toBe(200)
  })

  test('the administrator is spared unless meant', async () => {
    const fault = controlPlane.faults.inject({ kind: 'answer', status: 503 })
    expect((await controlPlane.request('GET', path)).status).toBe(200)
    fault.remove()
    controlPlane.faults.inject({ kind: 'answer', status: 503 }, { when: () => true })
    expect((await controlPlane.request('GET', path)).status).toBe(503)
  })

  test('a connection is reset before the request is carried out, or after', async () => {
    for (const carriedOut of [false, true]) {
      session = connect(controlPlane.server, { ca: controlPlane.certificateAuthority })
      session.on('error', () => undefined)
      const closed = once(session, 'close')
      controlPlane.faults.inject({ kind: 'reset', carriedOut })
      expect((await patch(`{"metadata":{"labels":{"carried-out":"${carriedOut}"}}}`)).status).toBe(0)
      await closed
      expect(await labels()).toEqual(carriedOut ? { 'carried-out': 'true' } : undefined)
    }
    await controlPlane.request('PATCH', path, { metadata: { labels: null } })
  })

  test('over HTTP/1.1 a connection is reset too', async () => {
    controlPlane.faults.inject({ kind: 'reset', carriedOut: false })
    await expect(overHttp1(controlPlane, { path, token: tokens.operator })).rejects.toThrow(/socket hang up|ECONNRESET/)
  })

  test('a goaway lets the request through and ends the connection', async () => {
    controlPlane.faults.inject({ kind: 'goaway', answered: true })
    const [told, closed] = [once(session, 'goaway'), once(session, 'close')]
    expect((await patch()).status).toBe(200)
    const [code] = (await told) as [number]
    expect(code).toBe(constants.NGHTTP2_NO_ERROR)
    await closed
  })

  test('a goaway leaves the request unprocessed', async () => {
    expect((await patch()).status).toBe(200)
    controlPlane.faults.inject({ kind: 'goaway', answered: false })
    const told = once(session, 'goaway')
    const outcome = await patch('{"metadata":{"labels":{"unprocessed":"no"}}}')
    expect(outcome).toMatchObject({ status: 0, error: expect.stringContaining('REFUSED_STREAM') })
    const [code, last] = (await told) as [number, number]
    expect([code, last]).toEqual([constants.NGHTTP2_NO_ERROR, 1])
    expect(await labels()).toBeUndefined()
  })

  test('a refused stream leaves the connection as it is', async () => {
    controlPlane.faults.inject({ kind: 'refused-stream' })
    expect(await patch()).toMatchObject({ status: 0, error: expect.stringContaining('REFUSED_STREAM') })
    expect((await patch()).status).toBe(200)
  })

  test('an answer breaks off in its middle', async () => {
    controlPlane.faults.inject({ kind: 'truncated' })
    const outcome = await patch()
    expect(outcome).toMatchObject({ status: 200, error: expect.stringContaining('INTERNAL_ERROR') })
    expect(outcome.text.length).toBe(Math.floor(Number(outcome.headers['content-length']) / 2))
    controlPlane.faults.inject({ kind: 'truncated' })
    await expect(overHttp1(controlPlane, { path, token: tokens.operator })).rejects.toThrow(/aborted|ECONNRESET/)
  })

  test('something in between answers in the place of the API server', async () => {
    const headers = { 'content-type': 'text/html', 'content-encoding': 'gzip' }
    controlPlane.faults.inject({ kind: 'replaced', status: 200, headers, body: '<html>' })
    expect(await patch('{"metadata":{"labels":{"arrived":"no"}}}')).toMatchObject({
      status: 200,
      headers,
      text: '<html>'
    })
    expect(await labels()).toBeUndefined()
  })

  test.each([true, false])('an answer never ends (it floods: %s)', async (floods) => {
    controlPlane.faults.inject({ kind: 'endless', floods })
    const stream = session.request({ ':path': '/metrics', authorization: `Bearer ${tokens.operator}` })
    const ended = jest.fn()
    stream.on('end', ended)
    let received = 0
    const enough = Promise.withResolvers<undefined>()
    stream.on('response', (answer) => expect(answer['content-length']).toBeUndefined())
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (!floods || received > 1_000_000) enough.resolve(undefined)
    })
    await enough.promise
    await patch()
    expect(received > 1_000_000).toBe(floods)
    expect(ended).not.toHaveBeenCalled()
    stream.close(constants.NGHTTP2_CANCEL)
    expect((await patch()).status).toBe(200)
  })

  test('over HTTP/1.1 an answer never ends either', async () => {
    controlPlane.faults.inject({ kind: 'endless', floods: true })
    const { hostname, port } = new URL(controlPlane.server)
    const socket = connectTls({ host: hostname, port: Number(port), ca: controlPlane.certificateAuthority })
    socket.write(`GET /metrics HTTP/1.1\r\nHost: kubernetes\r\nAuthorization: Bearer ${tokens.operator}\r\n\r\n`)
    let received = 0
    for await (const chunk of socket) {
      received += (chunk as Buffer).length
      if (received > 1_000_000) break
    }
    expect(received).toBeGreaterThan(1_000_000)
  })

  test('a role permits some requests no more, but the administrator’s', async () => {
    const allow = controlPlane.faults.forbid(({ path: on }) => on === '/metrics')
    expect(await request('GET', '/metrics')).toMatchObject({
      status: 403,
      text: expect.stringContaining('forbidden: User \\"operator\\" cannot get path \\"/metrics\\"')
    })
    expect((await controlPlane.request('GET', '/metrics')).status).toBe(200)
    expect((await patch()).status).toBe(200)
    allow()
    expect((await request('GET', '/metrics')).status).toBe(200)
  })

  test('a delay keeps the client waiting', async () => {
    controlPlane.faults.inject({ kind: 'delay', milliseconds: 60 })
    const start = performance.now()
    expect((await patch()).status).toBe(200)
    expect(performance.now() - start).toBeGreaterThan(55)
  })

  test('somebody writes or deletes between the list and the patch', async () => {
    const doomed = await plant(subject, 'faults', 'doomed')
    const when = ({ verb, name }: { verb: string; name: string }): boolean => verb === 'patch' && name === 'doomed'
    const write = (): Promise<unknown> =>
      controlPlane.request('PATCH', doomed, { metadata: { labels: { written: 'meanwhile' } } })
    controlPlane.faults.inject({ kind: 'meanwhile', does: write }, { when })
    const answer = await request('PATCH', doomed, '{}')
    expect(JSON.parse(answer.text)).toMatchObject({ metadata: { labels: { written: 'meanwhile' } } })
    controlPlane.faults.inject({ kind: 'meanwhile', does: () => controlPlane.request('DELETE', doomed) }, { when })
    expect((await request('PATCH', doomed, '{}')).status).toBe(404)
  })

  test('an admission webhook denies by name or by namespace until it is taken away', async () => {
    await plant(subject, 'faults', 'other')
    const other = path.replace(/secret$/, 'other')
    const allowSecret = controlPlane.faults.denyByWebhook('faults', 'secret')
    const denied = await call(subject, 'PATCH', path, { body: {}, contentType: mergePatch })
    expect(denied).toEqual({
      status: 403,
      body: {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message:
          'admission webhook "validation.gatekeeper.sh" denied the request: [secrets-need-owner] you must provide labels: {"owner"}',
        reason: 'Forbidden',
        code: 403
      }
    })
    expect((await request('GET', path)).status).toBe(200)
    expect((await request('PATCH', other, '{}')).status).toBe(200)
    allowSecret()
    expect((await patch()).status).toBe(200)
    const allowAll = controlPlane.faults.denyByWebhook('faults')
    expect((await request('PATCH', other, '{}')).status).toBe(403)
    allowAll()
    expect((await request('PATCH', other, '{}')).status).toBe(200)
  })

  test('a Secret that would not be valid today can be read and no longer be updated', async () => {
    const invalid = await plant(subject, 'faults', 'invalid')
    await controlPlane.faults.makeInvalid('faults', 'invalid')
    expect((await request('GET', invalid)).status).toBe(200)
    const answer = await call(subject, 'PATCH', invalid, { body: {}, contentType: mergePatch })
    expect(answer).toMatchObject({
      status: 422,
      body: { reason: 'Invalid', message: 'Secret "invalid" is invalid: data[ssh-privatekey]: Required value' }
    })
  })

  test('a corrupted Secret can not be decrypted', async () => {
    const corrupted = await plant(subject, 'corrupted', 'secret')
    controlPlane.faults.corrupt('corrupted', 'secret')
    expect((await request('PATCH', corrupted, '{}')).status).toBe(500)
    await controlPlane.request('DELETE', '/api/v1/namespaces/corrupted')
  })

  test('a compaction expires tokens', async () => {
    const list = (token: string): Promise<Outcome> =>
      request('GET', `/api/v1/namespaces/faults/secrets?limit=1&continue=${token}`)
    const { metadata } = JSON.parse((await list('')).text) as { readonly metadata: { readonly continue: string } }
    await plant(subject, 'faults', 'z')
    expect((await list(metadata.continue)).status).toBe(200)
    controlPlane.faults.compact()
    expect((await list(metadata.continue)).status).toBe(410)
  })

  test('what is sent can be watched', async () => {
    const seen: string[] = []
    const stop = controlPlane.faults.observe(({ request: about, status, body }) => {
      seen.push(`${about.user.username} ${about.verb} ${about.plural} ${status} ${body.includes('aHVudGVyMg==')}`)
    })
    await patch()
    await request('GET', path)
    stop()
    await patch()
    expect(seen).toEqual(['operator patch secrets 200 false', 'operator get secrets 200 true'])
  })

  test('a roll ends connections of HTTP/1.1 too', async () => {
    const { hostname, port } = new URL(controlPlane.server)
    const socket = connectTls({ host: hostname, port: Number(port), ca: controlPlane.certificateAuthority })
    await once(socket, 'secureConnect')
    socket.on('error', () => undefined)
    const closed = once(socket, 'close')
    await controlPlane.roll([
      { kind: 'kms', apiVersion: 'v2', name: 'slot0', keyId: 'https://v.vault.azure.net/keys/k/1' },
      { kind: 'identity' }
    ])
    socket.resume()
    await closed
  })

  test('a roll ends every connection and is over when the next request comes', async () => {
    await patch()
    const closed = once(session, 'close')
    await controlPlane.roll([
      { kind: 'identity' },
      { kind: 'kms', apiVersion: 'v2', name: 'slot0', keyId: 'https://v.vault.azure.net/keys/k/1' }
    ])
    await closed
    const address = controlPlane.server
    session = connect(address, { ca: controlPlane.certificateAuthority })
    expect((await patch()).status).toBe(200)
    expect((await controlPlane.storedSecrets()).find(({ name }) => name === 'secret')?.provider).toBe('identity')
  })

  test('who writes while another write waits for the vault is not overwritten', async () => {
    const vault = inMemoryVault()
    const slot = { kind: 'kms', apiVersion: 'v1', name: 'slot0', keyId: 'https://v.vault.azure.net/keys/k/1' } as const
    const plane = await startEmbeddedControlPlane({
      keyOperations: {
        ...vault,
        async encrypt(keyId, plaintext) {
          await sleep(10)
          return vault.encrypt(keyId, plaintext)
        }
      },
      authenticateToken,
      kmsV1: true,
      encryption: [slot, { kind: 'identity' }]
    })
    try {
      const contended = await plant({ ...subject, controlPlane: plane }, 'faults', 'contended')
      const keys = ['a', 'b', 'c', 'd']
      const patches = keys.map((key) => plane.request('PATCH', contended, { metadata: { labels: { [key]: 'set' } } }))
      expect((await Promise.all(patches)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
      const { body } = await plane.request('GET', contended)
      expect(body).toMatchObject({ metadata: { labels: { a: 'set', b: 'set', c: 'set', d: 'set' } } })
    } finally {
      await plane.stop()
    }
  })

  test('what is under way during a roll is not written under the old keys', async () => {
    const vault = inMemoryVault()
    const [waiting, go] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
    let slow = false
    const plane = await startEmbeddedControlPlane({
      keyOperations: {
        ...vault,
        async encrypt(keyId, plaintext) {
          if (slow && keyId.endsWith('/1')) {
            waiting.resolve(undefined)
            await go.promise
          }
          return vault.encrypt(keyId, plaintext)
        }
      },
      authenticateToken,
      kmsV1: true,
      encryption: [{ kind: 'kms', apiVersion: 'v1', name: 'slot0', keyId: 'https://v.vault.azure.net/keys/k/1' }]
    })
    try {
      const old = { kind: 'kms', apiVersion: 'v1', name: 'slot0', keyId: 'https://v.vault.azure.net/keys/k/1' } as const
      const held = await plant({ ...subject, controlPlane: plane }, 'faults', 'held')
      slow = true
      const lost = plane.request('PATCH', held, { metadata: { labels: { a: 'b' } } })
      const failed = expect(lost).rejects.toThrow()
      await waiting.promise
      await plane.roll([{ kind: 'identity' }, old])
      const before = await plane.storedSecrets()
      go.resolve(undefined)
      await failed
      await sleep(20)
      expect(await plane.storedSecrets()).toEqual(before)
    } finally {
      await plane.stop()
    }
  })
})
