import {
  createServer as createHttpServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse
} from 'node:http'
import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'

import type { KubernetesUser } from '../contract.ts'
import { fieldsOf } from './objects.ts'

/** One request as the API server sees it, whichever version of HTTP carries it. */
export interface Incoming {
  readonly method: string
  readonly url: string
  /** As Go's `Header.Get`: the first where a header came several times, empty where it did not. */
  header(name: 'authorization' | 'accept' | 'accept-encoding' | 'content-type'): string
  readonly body: string
  /** Whom the client certificate names; `untrusted` where the authority did not sign it. */
  readonly certificate: ClientCertificate
  respond(answer: Outgoing): void
  /** Announces the whole body and sends half of it. */
  respondInPart(answer: Outgoing): void
  /** The body over and over, or once and then nothing, until the client has had enough. */
  respondForEver(answer: Outgoing, floods: boolean): void
  reset(): void
  refuse(): void
  /** No new requests on this connection; `processed` is whether this one counts as processed. */
  goAway(processed: boolean): void
}

export interface Outgoing {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body: string | Buffer
}

export interface Listener {
  readonly port: number
  /** As a server that ends: every connection goes, with all that is under way on it. */
  dropConnections(): void
  close(): Promise<void>
}

export interface ListenerOptions {
  readonly certificate: string
  readonly key: string
  readonly clientAuthority: string
}

export type ClientCertificate = KubernetesUser | 'untrusted' | undefined

type Handler = (incoming: Incoming) => void
type Transport = Omit<Incoming, 'method' | 'url' | 'header' | 'body' | 'certificate'>

/** As `--http2-max-streams-per-connection` is unless set. */
const settings = { maxConcurrentStreams: 100 }

export async function listen(options: ListenerOptions, handler: Handler): Promise<Listener> {
  const certificates = new WeakMap<object, ClientCertificate>()
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()

  const http1 = createHttpServer((request, response) => {
    receive(
      request,
      request.headers,
      request.method,
      request.url,
      certificates.get(request.socket),
      http1Transport(request, response),
      handler
    )
  })
  const startHttp2 = (socket: TLSSocket, certificate: ClientCertificate): void => {
    const session = performServerHandshake(socket, { settings })
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => session.destroy())
    session.on('stream', (stream, headers) => {
      receive(
        stream,
        headers,
        headers[':method'],
        headers[':path'],
        certificate,
        http2Transport(stream, session),
        handler
      )
    })
  }
  const server = createTlsServer(
    {
      cert: options.certificate,
      key: options.key,
      ca: options.clientAuthority,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1']
    },
    (socket) => {
      socket.on('error', () => socket.destroy())
      const certificate = certificateOf(socket)
      certificates.set(socket, certificate)
      if (socket.alpnProtocol === 'h2') startHttp2(socket, certificate)
      else http1.emit('connection', socket)
    }
  )
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const dropConnections = (): void => {
    for (const session of sessions) session.destroy(undefined, constants.NGHTTP2_NO_ERROR)
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    dropConnections,
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      dropConnections()
      return closed
    }
  }
}

function receive(
  body: Readable,
  headers: IncomingHttpHeaders,
  method = 'GET',
  url = '/',
  certificate: ClientCertificate,
  transport: Transport,
  handler: Handler
): void {
  const chunks: Buffer[] = []
  body.on('data', (chunk: Buffer) => chunks.push(chunk))
  body.on('error', () => undefined)
  body.on('end', () => {
    handler({
      method,
      url,
      header: (name) => headers[name] ?? '',
      body: Buffer.concat(chunks).toString(),
      certificate,
      ...transport
    })
  })
}

/** How long half a body needs to go out, of which nobody tells; an early reset would take it along. */
const halfWayMs = 5

function http1Transport(request: IncomingMessage, response: ServerResponse): Transport {
  const reset = (): void => void request.socket.destroy()
  response.on('error', () => undefined)
  return {
    respond({ status, headers, body }) {
      response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
    },
    respondInPart({ status, headers, body }) {
      const whole = Buffer.from(body)
      response.writeHead(status, { ...headers, 'content-length': whole.length }).write(half(whole))
      setTimeout(reset, halfWayMs)
    },
    respondForEver({ status, headers, body }, floods) {
      response.writeHead(status, headers).write(body)
      if (floods) flood(response, body)
    },
    reset,
    refuse: reset,
    goAway: reset
  }
}

function http2Transport(stream: ServerHttp2Stream, session: ServerHttp2Session): Transport {
  const respond = ({ status, headers }: Outgoing, length?: number): boolean => {
    if (stream.destroyed || stream.closed) return false
    stream.respond({ ':status': status, ...headers, ...(length === undefined ? {} : { 'content-length': length }) })
    return true
  }
  return {
    respond(answer) {
      if (respond(answer, Buffer.byteLength(answer.body))) stream.end(answer.body)
    },
    respondInPart(answer) {
      const whole = Buffer.from(answer.body)
      if (respond(answer, whole.length)) stream.write(half(whole))
      setTimeout(() => stream.destroy(new Error('the answer is to break off here')), halfWayMs)
    },
    respondForEver(answer, floods) {
      if (!respond(answer)) return
      stream.write(answer.body)
      if (floods) flood(stream, answer.body)
    },
    reset: () => session.destroy(undefined, constants.NGHTTP2_CONNECT_ERROR),
    refuse: () => stream.close(constants.NGHTTP2_REFUSED_STREAM),
    goAway(processed) {
      if (!processed) {
        session.goaway(constants.NGHTTP2_NO_ERROR, (stream.id ?? 1) - 2)
        stream.close(constants.NGHTTP2_REFUSED_STREAM)
      }
      // Announces the end by itself, and lets what is under way come to its own.
      session.close()
    }
  }
}

/** As fast as the client reads. */
function flood(to: Writable, body: string | Buffer): void {
  if (to.destroyed) return
  if (to.write(body)) setImmediate(flood, to, body)
  else to.once('drain', () => flood(to, body))
}

const half = (body: Buffer): Buffer => body.subarray(0, body.length >>> 1)

/** The common name is the user's, the organizations are the groups. */
function certificateOf(socket: TLSSocket): ClientCertificate {
  // An empty object where the client has none.
  const certificate: object = socket.getPeerCertificate()
  if (!('subject' in certificate)) return undefined
  if (!socket.authorized) return 'untrusted'
  const subject = fieldsOf(certificate.subject)
  const valuesOf = (attribute: string): readonly string[] => [subject[attribute] ?? []].flat().map(String)
  return { username: valuesOf('CN')[0] ?? '', groups: valuesOf('O') }
}
