import { createServer as createHttpServer } from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'

import { afterEach, expect, test } from '@jest/globals'

import {
  NOT_HTTP2,
  PROXY_REFUSED,
  Transport,
  TransportError,
  type HttpAnswer,
  type Result,
  type TransportOptions
} from '../../src/kubernetes/transport.ts'
import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import { endpointOf, serving, startHttp2Server } from '../fixtures/http2-server.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function serve(...args: Parameters<typeof startHttp2Server>) {
  const server = await startHttp2Server(...args)
  cleanUps.push(server.stop)
  return server
}

function open(options: TransportOptions): Transport {
  const transport = new Transport(options)
  cleanUps.push(() => transport.close())
  return transport
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

const get = { method: 'GET', path: '/' } as const
async function answered(result: Promise<Result>): Promise<HttpAnswer> {
  const answer = await result
  if (answer instanceof TransportError) throw answer
  return answer
}
const ok = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 200 })
  stream.end('ok')
}
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

test('a request with its headers and body, and the whole answer', async () => {
  const server = await serve((stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      stream.respond({ ':status': 201, 'retry-after': '3' })
      stream.write(JSON.stringify(headers))
      setTimeout(() => stream.end(`|${Buffer.concat(chunks).toString()}`), 5)
    })
  })
  const transport = open({
    endpoint: { ...server.endpoint, server: new URL('/k8s/clusters/c/', server.endpoint.server) }
  })
  const answer = await answered(
    transport.request({ method: 'PATCH', path: '/api?x=1', headers: { accept: 'a/b' }, body: '{"ü":1}' })
  )
  expect(answer.status).toBe(201)
  expect(answer.headers['retry-after']).toBe('3')
  const [headers = '', body] = answer.body.toString().split('|')
  expect(JSON.parse(headers)).toMatchObject({
    ':method': 'PATCH',
    ':path': '/k8s/clusters/c/api?x=1',
    ':authority': `127.0.0.1:${server.port}`,
    accept: 'a/b',
    authorization: 'Bearer token'
  })
  expect(body).toBe('{"ü":1}')
})

test('an answer without a body', async () => {
  const server = await serve((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
  const { status, body } = await answered(open({ endpoint: server.endpoint }).request(get))
  expect([status, body.length]).toEqual([204, 0])
})

test('opens all its connections with the first request, and no others as long as they last', async () => {
  const server = await serve((stream) => setTimeout(ok, 20, stream))
  const transport = open({ endpoint: server.endpoint, connections: 3 })
  await answered(transport.request(get))
  expect(transport.opened).toBe(3)
  await Promise.all(Array.from({ length: 30 }, () => answered(transport.request(get))))
  expect(transport.opened).toBe(3)
  expect(server.connected).toBe(3)
})

test('spreads what is under way over its connections', async () => {
  const perSession = new Map<unknown, number>()
  const server = await serve((stream) => {
    perSession.set(stream.session, (perSession.get(stream.session) ?? 0) + 1)
    setTimeout(ok, 50, stream)
  })
  const transport = open({ endpoint: server.endpoint, connections: 4 })
  await Promise.all(Array.from({ length: 40 }, () => answered(transport.request(get))))
  expect([...perSession.values()]).toEqual([10, 10, 10, 10])
})

test('keeps to the streams that the server allows', async () => {
  let underWay = 0
  let most = 0
  const server = await serve(
    (stream) => {
      most = Math.max(most, ++underWay)
      setTimeout(() => {
        underWay--
        ok(stream)
      }, 2)
    },
    { settings: { maxConcurrentStreams: 5 } }
  )
  const transport = open({ endpoint: server.endpoint, connections: 2 })
  await answered(transport.request(get))
  const answers = await Promise.all(Array.from({ length: 200 }, () => answered(transport.request(get))))
  expect(answers).toHaveLength(200)
  expect(most).toBeLessThanOrEqual(10)
  expect(most).toBeGreaterThan(5)
})

test('a reset stream is one failure, and the connection stays', async () => {
  let first = true
  const server = await serve((stream) => {
    if (first) stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else ok(stream)
    first = false
  })
  const transport = open({ endpoint: server.endpoint })
  await expect(transport.request(get)).resolves.toBeInstanceOf(TransportError)
  await answered(transport.request(get))
  expect(server.connected).toBe(1)
})

test.each([
  ['without an error', constants.NGHTTP2_NO_ERROR],
  ['as cancelled', constants.NGHTTP2_CANCEL],
  ['as refused', constants.NGHTTP2_REFUSED_STREAM]
])('a stream that is reset %s before its answer is no answer', async (_, code) => {
  const server = await serve((stream) => stream.close(code))
  await expect(open({ endpoint: server.endpoint }).request(get)).resolves.toBeInstanceOf(TransportError)
})

test('half an answer is no answer', async () => {
  const server = await serve((stream) => {
    stream.respond({ ':status': 200, 'content-length': 10 })
    stream.write('half')
    setTimeout(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 20)
  })
  await expect(open({ endpoint: server.endpoint }).request(get)).resolves.toBeInstanceOf(TransportError)
})

test('a lost connection fails what is under way on it, and the next request opens another', async () => {
  let lose = true
  const server = await serve((stream) => {
    if (!lose) ok(stream)
    else if (stream.session !== undefined) setTimeout((socket) => socket.destroy(), 5, stream.session.socket)
  })
  const transport = open({ endpoint: server.endpoint })
  for (const result of await Promise.all([transport.request(get), transport.request(get)])) {
    expect(result).toBeInstanceOf(TransportError)
  }
  lose = false
  await answered(transport.request(get))
  expect(server.connected).toBe(2)
})

test('after GOAWAY what is under way is answered, and the next request opens another connection', async () => {
  const arrived = Promise.withResolvers<ServerHttp2Stream>()
  let isFirst = true
  const server = await serve((stream) => {
    if (isFirst) arrived.resolve(stream)
    else ok(stream)
    isFirst = false
  })
  const transport = open({ endpoint: server.endpoint })
  const underWay = transport.request(get)
  const stream = await arrived.promise
  for (const session of server.sessions) {
    session.goaway()
    // Frames come in their order: who has answered the ping has seen GOAWAY.
    await new Promise((resolve) => session.ping(resolve))
  }
  expect((await answered(transport.request(get))).status).toBe(200)
  ok(stream)
  expect((await answered(underWay)).status).toBe(200)
  expect(server.connected).toBe(2)
})

test('a request that is not answered in time takes its connection with it', async () => {
  let silent = true
  const server = await serve((stream) => {
    if (!silent) ok(stream)
  })
  const transport = open({ endpoint: server.endpoint, timeout: 100 })
  const started = Date.now()
  await expect(transport.request(get)).resolves.toMatchObject({ code: 'ETIMEDOUT' })
  expect(Date.now() - started).toBeLessThan(500)
  silent = false
  await answered(transport.request(get))
  expect(server.connected).toBe(2)
})

test('a refused connection', async () => {
  const closed = createTcpServer()
  const port = await listen(closed)
  await cleanUps.pop()?.()
  const transport = open({ endpoint: endpointOf(`https://127.0.0.1:${port}`) })
  await expect(transport.request(get)).resolves.toMatchObject({ name: 'TransportError', code: 'ECONNREFUSED' })
})

test('a server that closes during the handshake', async () => {
  const port = await listen(createTcpServer((socket) => socket.destroy()))
  await expect(open({ endpoint: endpointOf(`https://127.0.0.1:${port}`) }).request(get)).resolves.toMatchObject({
    code: 'ECONNRESET'
  })
})

test('a certificate of another authority', async () => {
  const server = await serve(ok)
  const { certificate: ca } = await createCertificateAuthority()
  const endpoint = endpointOf(`https://127.0.0.1:${server.port}`, { ca })
  await expect(open({ endpoint }).request(get)).resolves.toMatchObject({
    code: expect.stringMatching(/CERT|UNABLE_TO/)
  })
})

test('a certificate for another name, unless that name is given', async () => {
  const server = await serve(ok)
  const wrong = endpointOf(`https://127.0.0.1:${server.port}`, { serverName: 'other.example.test' })
  await expect(open({ endpoint: wrong }).request(get)).resolves.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  const right = endpointOf(`https://127.0.0.1:${server.port}`, { serverName: 'api.example.test' })
  expect((await answered(open({ endpoint: right }).request(get))).status).toBe(200)
})

test('a server that speaks HTTP/1.1 only', async () => {
  const port = await listen(createHttpsServer(serving, (_, response) => response.end('ok')))
  await expect(open({ endpoint: endpointOf(`https://127.0.0.1:${port}`) }).request(get)).resolves.toMatchObject({
    code: NOT_HTTP2
  })
})

test('an HTTP proxy, which resolves the name, with its user and password; the name is sent to the server', async () => {
  const names: unknown[] = []
  const server = await serve((stream) => {
    names.push((stream.session?.socket as { servername?: unknown } | undefined)?.servername)
    ok(stream)
  })
  const asked: unknown[] = []
  const proxy = createHttpServer()
  proxy.on('connect', (request, socket) => {
    asked.push([request.url, request.headers['proxy-authorization']])
    const upstream = connect(server.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(upstream).pipe(socket)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
  })
  const port = await listen(proxy)
  const endpoint = endpointOf('https://api.example.test:6443', {
    proxy: new URL(`http://user:p%40ss@127.0.0.1:${port}`)
  })
  const transport = open({ endpoint })
  expect((await answered(transport.request(get))).status).toBe(200)
  expect(asked).toEqual([['api.example.test:6443', `Basic ${Buffer.from('user:p@ss').toString('base64')}`]])
  expect(names).toEqual(['api.example.test'])
})

test('a proxy that opens no tunnel', async () => {
  const proxy = createHttpServer()
  proxy.on('connect', (_, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'))
  const port = await listen(proxy)
  const endpoint = endpointOf('https://api.example.test', { proxy: new URL(`http://127.0.0.1:${port}`) })
  await expect(open({ endpoint }).request(get)).resolves.toMatchObject({ code: PROXY_REFUSED })
})

test('an abort ends what is under way, waiting, connecting and to come, with its reason', async () => {
  const server = await serve(() => {}, { settings: { maxConcurrentStreams: 1 } })
  const aborting = new AbortController()
  const transport = open({ endpoint: server.endpoint, signal: aborting.signal })
  const first = transport.request(get)
  first.catch(() => {})
  await pause(50)
  const connecting = open({
    endpoint: endpointOf(`https://127.0.0.1:${await listen(createTcpServer((socket) => socket.resume()))}`),
    signal: aborting.signal
  })
  const requests = [first, transport.request(get), transport.request(get), connecting.request(get)]
  const settled = Promise.allSettled(requests)
  await pause(10)
  const reason = new Error('cancelled')
  aborting.abort(reason)
  for (const result of await settled) expect(result).toEqual({ status: 'rejected', reason })
  await expect(transport.request(get)).rejects.toBe(reason)
})

test('close ends everything, and an aborted signal lets nothing begin', async () => {
  const server = await serve(() => {})
  const transport = open({ endpoint: server.endpoint })
  const request = transport.request(get)
  setTimeout(() => transport.close(), 20)
  await expect(request).rejects.toBeInstanceOf(TransportError)
  await pause(20)
  expect(server.sessions.size).toBe(0)
  const reason = new Error('before')
  await expect(open({ endpoint: server.endpoint, signal: AbortSignal.abort(reason) }).request(get)).rejects.toBe(reason)
})

test('a credential that can’t be got is the request’s failure', async () => {
  const server = await serve(ok)
  const failure = new Error('no token')
  const endpoint = { ...server.endpoint, credential: () => Promise.reject(failure) }
  await expect(open({ endpoint }).request(get)).rejects.toBe(failure)
  expect(server.connected).toBe(0)
})
