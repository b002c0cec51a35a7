import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2, constants, type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { connect, createServer, Socket, type AddressInfo, type Server } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

import { afterEach, describe, expect, test } from '@jest/globals'

import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import { canary, canaryTraces } from '../../testbed/seed.ts'
import { startDelayingProxy, type DelayingProxy } from '../../testbed/wire/delaying-proxy.ts'
import { startWireTap, type WireTap } from '../../testbed/wire/tap.ts'
import { startHttp2Server, type Http2Server } from '../fixtures/http2-server.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

describe('the delaying proxy', () => {
  test.each([20, 80])('what is asked is answered %i ms later', async (rttMs) => {
    const proxy = await proxyTo(await serverOf(echo), rttMs)
    const client = await clientOf(proxy)
    await exchange(client)
    const times: number[] = []
    for (let count = 0; count < 1500 / rttMs; count++) {
      // At any phase of the clock that timers go by.
      await sleep(count % 3)
      times.push(await exchange(client))
    }
    // Timers of a busy machine are late now and then, but never early.
    const lowerQuartile = times.toSorted((a, b) => a - b)[Math.floor(times.length / 4)] ?? 0
    expect(Math.abs(lowerQuartile - rttMs)).toBeLessThan(rttMs / 10)
  })

  test('without a round trip it counts', async () => {
    const proxy = await proxyTo(await serverOf((socket) => socket.on('data', () => socket.write('answer'))), 0)
    const clients = [await clientOf(proxy), await clientOf(proxy)]
    for (const client of clients) await exchange(client)
    clients[0]?.destroy()
    expect(proxy).toMatchObject({ connections: 2, sent: 2, received: 12 })
  })

  test('the opening of a connection takes a round trip of its own', async () => {
    const rttMs = 60
    const proxy = await proxyTo(await serverOf(echo), rttMs)
    const begun = performance.now()
    const client = await clientOf(proxy)
    await exchange(client)
    expect(performance.now() - begun).toBeGreaterThan(2 * rttMs - 3)
    expect(await exchange(client)).toBeLessThan(2 * rttMs - 3)
  })

  test('a server that speaks first is heard after two round trips', async () => {
    const rttMs = 40
    const proxy = await proxyTo(await serverOf((socket) => socket.end('welcome')), rttMs)
    const begun = performance.now()
    expect((await buffer(await clientOf(proxy))).toString()).toBe('welcome')
    expect(performance.now() - begun).toBeGreaterThan(2 * rttMs - 3)
  })

  test('everything arrives in order, however much is under way', async () => {
    const proxy = await proxyTo(await serverOf(echo), 80)
    const sent = randomBytes(32_000_000)
    const client = await clientOf(proxy)
    const begun = performance.now()
    client.end(sent)
    const received = await buffer(client)
    // A window of 64 kB would take 40 s.
    expect(performance.now() - begun).toBeLessThan(8_000)
    expect(hash(received)).toBe(hash(sent))
    expect(proxy).toMatchObject({ sent: sent.length, received: sent.length })
  })

  test('who does not read makes the other side wait', async () => {
    const sent = randomBytes(64_000_000)
    const proxy = await proxyTo(await serverOf((socket) => socket.end(sent)), 20)
    const client = await clientOf(proxy)
    let received = -1
    while (received !== proxy.received || received === 0) {
      received = proxy.received
      await sleep(200)
    }
    // What the system's buffers hold.
    expect(received).toBeLessThan(sent.length / 2)
    expect(hash(await buffer(client))).toBe(hash(sent))
  })

  test('who has ended can still be answered', async () => {
    const server = await serverOf((socket) => {
      void buffer(socket).then((asked) => socket.end(`${asked.toString()}?`))
    })
    const client = await clientOf(await proxyTo(server, 20))
    client.end('really')
    expect((await buffer(client)).toString()).toBe('really?')
  })

  test.each([
    ['that the server resets', (socket: Socket) => socket.once('data', () => socket.resetAndDestroy()), 'ECONNRESET'],
    ['that ends in the middle', (socket: Socket) => socket.once('data', () => socket.destroy()), undefined]
  ])('a connection %s', async (_, handle, code) => {
    const client = await clientOf(await proxyTo(await serverOf(handle), 20))
    let error: NodeJS.ErrnoException | undefined
    client.on('error', (one) => (error = one))
    client.end('x')
    await buffer(client).catch(() => undefined)
    expect(error?.code).toBe(code)
  })

  test('a client that resets', async () => {
    const errors: unknown[] = []
    const closed = Promise.withResolvers<undefined>()
    const server = await serverOf((socket) => {
      socket.on('error', (error) => errors.push(error))
      socket.on('close', () => closed.resolve(undefined))
      socket.pipe(socket)
    })
    const client = await clientOf(await proxyTo(server, 20))
    await exchange(client)
    client.resetAndDestroy()
    await closed.promise
    expect(errors).toMatchObject([{ code: 'ECONNRESET' }])
  })

  test('nobody there', async () => {
    const server = await serverOf(echo)
    const proxy = await proxyTo(server, 20)
    server.close()
    await once(server, 'close')
    const client = await clientOf(proxy)
    client.resume()
    await expect(once(client, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  const echo = (socket: Socket): void => {
    socket.pipe(socket)
    socket.on('error', () => {})
  }

  async function serverOf(handle: (socket: Socket) => unknown): Promise<Server> {
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      handle(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closers.push(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    return server
  }

  async function proxyTo(server: Server, rttMs: number): Promise<DelayingProxy> {
    const proxy = await startDelayingProxy({ target: { port: (server.address() as AddressInfo).port }, rttMs })
    closers.push(proxy.stop)
    return proxy
  }

  async function clientOf({ port }: DelayingProxy): Promise<Socket> {
    const client = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
    closers.push(() => client.destroy())
    await once(client, 'connect')
    return client
  }

  /** Milliseconds until the answer to one octet. */
  async function exchange(client: Socket): Promise<number> {
    const begun = performance.now()
    client.write('x')
    await once(client, 'data')
    return performance.now() - begun
  }

  const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
})

describe('the wire tap', () => {
  test.each(
    canaryTraces.map((trace, index) => [index === 0 ? 'plain' : `base64 at offset ${index - 1}`, trace, index])
  )('finds a canary: %s', async (_, trace, index) => {
    const value = index === 0 ? canary : Buffer.from(`${'.'.repeat(Number(index) - 1)}${canary}....`).toString('base64')
    const { get, tap } = await tapped((stream) => respond(stream, [`{"data":"${value}"}`]))
    expect((await get('/secret')).body).toContain(value)
    expect(tap.search(canaryTraces)).toEqual([{ needle: trace, path: '/secret', in: 'body' }])
  })

  test('finds one that is split over frames', async () => {
    const { get, tap } = await tapped((stream) =>
      respond(
        stream,
        canary
          .split('-')
          .flatMap((word) => ['-', word])
          .slice(1)
      )
    )
    expect((await get('/')).body).toBe(canary)
    expect(tap.search([canary])).toHaveLength(1)
  })

  test('finds one in a compressed body', async () => {
    const body = gzipSync(`${'x'.repeat(1000)}${canary}`)
    const { get, tap } = await tapped((stream) => respond(stream, [body], { 'content-encoding': 'gzip' }))
    expect((await get('/metrics')).body).not.toContain(canary)
    expect(tap.search([canary])).toHaveLength(1)
    expect(tap.bytes).toBe(body.length)
  })

  test('finds one in a compressed body that did not come to its end', async () => {
    const body = gzipSync(`${canary}${randomBytes(50_000).toString('hex')}`)
    const { get, tap } = await tapped((stream) => {
      stream.respond({ ':status': 200, 'content-encoding': 'gzip' })
      stream.write(body.subarray(0, -10_000), () => stream.destroy(new Error('the test ends it')))
    })
    await expect(failureOf(get('/'))).resolves.toMatch('NGHTTP2_INTERNAL_ERROR')
    expect(tap.search([canary])).toHaveLength(1)
  })

  test('lets nothing hide in a coding that it does not know', async () => {
    const { get, tap } = await tapped((stream) => respond(stream, ['?'], { 'content-encoding': 'br' }))
    await get('/')
    expect(() => tap.search([canary])).toThrow("in a coding that can't be searched: br")
  })

  test('finds one in headers and in trailers', async () => {
    const { get, tap } = await tapped((stream, path) => {
      if (path === '/headers') respond(stream, [], { warning: canary })
      else respond(stream, ['body'], {}, { 'x-last': canary })
    })
    expect((await get('/headers')).headers['warning']).toBe(canary)
    expect((await get('/trailers')).trailers['x-last']).toBe(canary)
    expect(tap.search([canary]).map(({ path, in: place }) => [path, place])).toEqual([
      ['/headers', 'headers'],
      ['/trailers', 'headers']
    ])
  })

  test('finds nothing where nothing is', async () => {
    const { get, tap } = await tapped((stream) => respond(stream, ['{"kind":"Table"}']))
    await Promise.all(Array.from({ length: 200 }, (_, index) => get(`/${index}`)))
    expect(tap.search(canaryTraces)).toEqual([])
    expect(tap).toMatchObject({ answers: 200, bytes: 200 * 16 })
  })

  test('passes on method, headers, body and status', async () => {
    const { get } = await tapped((stream, path, headers) => {
      void buffer(stream).then((body) => {
        const told = `${String(headers[':method'])} ${path} ${String(headers['authorization'])} ${body.toString()}`
        respond(stream, [told], { ':status': 422 })
      })
    })
    const answer = await get('/one?two=three', { ':method': 'PATCH', authorization: 'Bearer token' }, '{}')
    expect(answer).toMatchObject({ status: 422, body: 'PATCH /one?two=three Bearer token {}' })
  })

  test("the server's limit on streams", async () => {
    const { get, session } = await tapped((stream) => respond(stream, ['x']), { maxConcurrentStreams: 7 })
    await get('/')
    expect(session.remoteSettings.maxConcurrentStreams).toBe(7)
  })

  test('a server that wants no more requests answers those under way', async () => {
    const arrived = Promise.withResolvers<ServerHttp2Stream>()
    const { get, session, server } = await tapped((stream) => arrived.resolve(stream))
    const goaway = once(session, 'goaway')
    const closed = once(session, 'close')
    const answer = get('/')
    const stream = await arrived.promise
    for (const one of server.sessions) one.close()
    expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR)
    respond(stream, ['still answered'])
    expect(await answer).toMatchObject({ status: 200, body: 'still answered' })
    await closed
  })

  test('a server that is gone', async () => {
    const { get, session, server } = await tapped(() => {
      for (const one of server.sessions) one.destroy()
    })
    session.on('error', () => {})
    await failureOf(get('/'))
  })

  test('a request that the client gives up is given up at the server', async () => {
    const given = Promise.withResolvers<number>()
    const arrived = Promise.withResolvers<undefined>()
    const { session } = await tapped((stream) => {
      stream.on('close', () => given.resolve(stream.rstCode))
      arrived.resolve(undefined)
    })
    const request = session.request({ ':path': '/' })
    request.on('error', () => {})
    await arrived.promise
    request.close(constants.NGHTTP2_CANCEL)
    expect(await given.promise).toBe(constants.NGHTTP2_CANCEL)
  })

  interface Answer {
    readonly status: number | undefined
    readonly headers: Readonly<Record<string, unknown>>
    readonly trailers: Readonly<Record<string, unknown>>
    readonly body: string
  }

  interface Tapping {
    readonly tap: WireTap
    readonly server: Http2Server
    readonly session: ClientHttp2Session
    get(path: string, headers?: Readonly<Record<string, string>>, body?: string): Promise<Answer>
  }

  async function tapped(
    handle: (stream: ServerHttp2Stream, path: string, headers: Readonly<Record<string, unknown>>) => void,
    settings: { readonly maxConcurrentStreams?: number } = {}
  ): Promise<Tapping> {
    const authority = await createCertificateAuthority()
    const { certificate: cert, key } = await authority.issue({ hosts: ['127.0.0.1'] })
    const server = await startHttp2Server((stream, headers) => handle(stream, headers[':path'] ?? '', headers), {
      cert,
      key,
      settings
    })
    closers.push(() => server.stop())
    const tap = await startWireTap({
      server: server.endpoint.server.origin,
      certificateAuthority: authority.certificate
    })
    closers.push(() => tap.stop())
    const session = connectHttp2(tap.server, { ca: tap.certificateAuthority })
    closers.push(() => session.destroy())
    return {
      tap,
      server,
      session,
      async get(path, headers = {}, body = '') {
        const request = session.request({ ':path': path, ...headers }, { endStream: body === '' })
        if (body !== '') request.end(body)
        let answer: Pick<Answer, 'status' | 'headers'> = { status: undefined, headers: {} }
        let trailers = {}
        request.on('response', (received) => (answer = { status: received[':status'], headers: received }))
        request.on('trailers', (received: object) => (trailers = received))
        const content = (await buffer(request)).toString()
        return { ...answer, body: content, trailers }
      }
    }
  }

  /** Its message, and nothing of an answer that is none. */
  async function failureOf(answer: Promise<Answer>): Promise<string> {
    return await answer.then(
      ({ status }) => {
        throw new Error(`There was an answer: ${status}.`)
      },
      (error: unknown) => String(error)
    )
  }

  /** What is written before the last write is out shares its frame. */
  async function writeEach(stream: ServerHttp2Stream, chunks: readonly (string | Buffer)[]): Promise<void> {
    for (const chunk of chunks) await new Promise((resolve) => stream.write(chunk, resolve))
  }

  function respond(
    stream: ServerHttp2Stream,
    chunks: readonly (string | Buffer)[],
    headers: Readonly<Record<string, string | number>> = {},
    trailers?: Readonly<Record<string, string>>
  ): void {
    stream.respond({ ':status': 200, ...headers }, { waitForTrailers: trailers !== undefined })
    stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}))
    void writeEach(stream, chunks).then(() => stream.end())
  }
})
