import { request as httpRequest } from 'node:http'
import { connect as connectHttp2, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'

import type { Credential, KubernetesEndpoint } from './connection.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH'
  /** Path and query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** No answer came. Everything that this action asks for may be asked for again. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  /** Node's or OpenSSL's code, such as `ECONNREFUSED`, `ETIMEDOUT` or `CERT_HAS_EXPIRED`; or one of those below. */
  readonly code: string

  constructor(code: string, cause?: unknown) {
    super(`no answer: ${code}`, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** What a request came to. */
export type Result = HttpAnswer | TransportError

/** What answered does not speak HTTP/2, as every Kubernetes API server does. */
export const NOT_HTTP2 = 'NOT_HTTP2'
/** The HTTP proxy did not open a tunnel. */
export const PROXY_REFUSED = 'PROXY_REFUSED'

export interface TransportOptions {
  readonly endpoint: KubernetesEndpoint
  /** Ends every request, with its reason. */
  readonly signal?: AbortSignal | undefined
  /** 1 unless given. Opened with the first request, all together: a request that needs another one would have to wait for it. */
  readonly connections?: number
  /** For one request, in milliseconds. The API server itself gives up after 34 s. */
  readonly timeout?: number
}

/** The answer has more bytes than anything that is asked for. */
export const TOO_LARGE = 'EMSGSIZE'
/** An API server's metrics have some megabytes when they are packed, and are the most that is ever asked for. */
const MOST_BYTES = 16 << 20

const CONNECT_TIMEOUT = 15_000
const STREAM_WINDOW = 1 << 20
const CONNECTION_WINDOW = 1 << 24

/**
 * HTTP/2 connections to one address. A load balancer spreads them over the API servers behind it: a new Transport meets
 * others. A connection that failed in any way is left, and the next request opens another.
 */
export class Transport {
  readonly #endpoint: KubernetesEndpoint
  readonly #pathPrefix: string
  readonly #mostConnections: number
  readonly #timeout: number
  #connections: readonly Connection[] = []
  readonly #signal: AbortSignal | undefined
  readonly #sweeper: NodeJS.Timeout
  #opened = 0
  #closed: { readonly reason: unknown } | undefined

  constructor({ endpoint, signal, connections = 1, timeout = 45_000 }: TransportOptions) {
    this.#endpoint = endpoint
    this.#pathPrefix = endpoint.server.pathname.replace(/\/$/, '')
    this.#mostConnections = connections
    this.#timeout = timeout
    this.#signal = signal
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(1000, timeout / 4)).unref()
    if (signal?.aborted === true) this.#onAbort()
    signal?.addEventListener('abort', this.#onAbort)
  }

  /**
   * The answer, or why there was none. Rejects for want of a credential, and after the end of all: with the signal's reason, or
   * that of `close`.
   */
  async request(request: HttpRequest): Promise<Result> {
    const credential = await this.#endpoint.credential()
    const connection = this.#leastBusy(credential)
    connection.load++
    const result = await connection.exchange(this.#pathPrefix, request, credential.authorization)
    connection.load--
    if (result instanceof TransportError && this.#closed !== undefined) throw this.#closed.reason
    return result
  }

  /** How many connections there have been. */
  get opened(): number {
    return this.#opened
  }

  /** Ends what is under way. */
  close(reason: unknown = new TransportError('ECANCELED')): void {
    if (this.#closed !== undefined) return
    this.#closed = { reason }
    clearInterval(this.#sweeper)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    for (const connection of this.#connections) connection.fail(new TransportError('ECANCELED'))
  }

  readonly #onAbort = (): void => this.close(this.#signal?.reason)

  /** Those that failed are replaced first. What is too much for the server waits on its connection. */
  #leastBusy({ secureContext }: Credential): Connection {
    if (this.#closed !== undefined) throw this.#closed.reason
    let best: Connection | undefined
    let usable = 0
    for (const connection of this.#connections) {
      if (connection.usable) {
        usable++
        if (connection.load < (best?.load ?? Infinity)) best = connection
      } else if (connection.load === 0) {
        this.#connections = this.#connections.filter((other) => other !== connection)
        connection.fail(new TransportError('ECANCELED'))
      }
    }
    if (best === undefined) {
      best = this.#open(secureContext)
      usable++
    }
    for (; usable < this.#mostConnections; usable++) this.#open(secureContext)
    return best
  }

  #open(secureContext: SecureContext): Connection {
    const connection = new Connection(this.#endpoint, secureContext)
    this.#opened++
    this.#connections = [...this.#connections, connection]
    return connection
  }

  /** One timer for all requests. A connection on which one of them got no answer in time is not trusted with others. */
  #sweep(): void {
    const deadline = Date.now() - this.#timeout
    for (const connection of this.#connections) {
      if (connection.oldest() < deadline) connection.fail(new TransportError('ETIMEDOUT'))
    }
  }
}

class Connection {
  /** Requests on it, also those that wait for it to open. */
  load = 0
  usable = true
  readonly #opening: Promise<ClientHttp2Session | TransportError>
  readonly #failed = new AbortController()
  #session: ClientHttp2Session | undefined
  #error: TransportError | undefined
  /** In the order of their start. */
  readonly #exchanges = new Set<{ readonly started: number; readonly fail: (error: TransportError) => void }>()

  constructor(endpoint: KubernetesEndpoint, secureContext: SecureContext) {
    this.#opening = this.#open(endpoint, secureContext)
  }

  /** When the oldest unanswered request was sent. */
  oldest(): number {
    for (const exchange of this.#exchanges) return exchange.started
    return Infinity
  }

  /** Ends all that is under way; the first error is the reason that everybody is told. */
  fail(error: TransportError): TransportError {
    this.#error ??= error
    this.usable = false
    this.#failed.abort()
    for (const exchange of this.#exchanges) exchange.fail(this.#error)
    return this.#error
  }

  async exchange(prefix: string, request: HttpRequest, authorization: string | undefined): Promise<Result> {
    const session = this.#session ?? (await this.#opening)
    if (session instanceof TransportError) return session
    return new Promise((resolve) => {
      const fail = (error: unknown) => {
        if (this.#exchanges.delete(exchange)) resolve(this.#error ?? toTransportError(error))
      }
      const exchange = { started: Date.now(), fail }
      this.#exchanges.add(exchange)
      let stream
      try {
        stream = session.request(
          {
            ':method': request.method,
            ':path': prefix + request.path,
            'user-agent': 'aks-kms-etcd-encryption',
            ...(authorization !== undefined && { authorization }),
            ...request.headers
          },
          { endStream: request.body === undefined }
        )
      } catch (error) {
        // The session takes no more requests: it is closing, or out of stream ids.
        this.usable = false
        fail(error)
        return
      }
      let answer: { readonly status: number; readonly headers: IncomingHttpHeaders } | undefined
      const chunks: Buffer[] = []
      stream.on('response', (headers) => (answer = { status: headers[':status'] ?? 0, headers }))
      let bytes = 0
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes <= MOST_BYTES) return
        fail(new TransportError(TOO_LARGE))
        stream.close(constants.NGHTTP2_CANCEL)
      })
      stream.on('end', () => {
        if (answer === undefined) return
        this.#exchanges.delete(exchange)
        resolve({ ...answer, body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) })
      })
      stream.on('error', fail)
      stream.on('close', () => fail(undefined))
      if (request.body !== undefined) stream.end(request.body)
    })
  }

  async #open(
    endpoint: KubernetesEndpoint,
    secureContext: SecureContext
  ): Promise<ClientHttp2Session | TransportError> {
    try {
      const socket = await openTls(endpoint, secureContext, this.#failed.signal)
      if (socket.alpnProtocol !== 'h2') {
        socket.destroy()
        throw new TransportError(NOT_HTTP2)
      }
      const session = connectHttp2(endpoint.server, {
        createConnection: () => socket,
        settings: { enablePush: false, initialWindowSize: STREAM_WINDOW }
      })
      this.#failed.signal.addEventListener('abort', () => session.destroy())
      if (this.#failed.signal.aborted) session.destroy()
      // After GOAWAY the requests under way are still answered; those that are not fail by themselves.
      session.on('goaway', () => (this.usable = false))
      session.on('error', (error) => this.fail(toTransportError(error)))
      // Until its settings have come, nobody knows how many streams the server takes; nghttp2 keeps to them then.
      await new Promise<void>((resolve, reject) => {
        session.once('remoteSettings', () => resolve())
        session.once('close', () => reject(this.fail(new TransportError('ECONNRESET'))))
        session.setTimeout(CONNECT_TIMEOUT, () => this.fail(new TransportError('ETIMEDOUT')))
      })
      session.setTimeout(0)
      session.setLocalWindowSize(CONNECTION_WINDOW)
      this.#session = session
      return session
    } catch (error) {
      return this.fail(toTransportError(error))
    }
  }
}

async function openTls(
  endpoint: KubernetesEndpoint,
  secureContext: SecureContext,
  signal: AbortSignal
): Promise<TLSSocket> {
  const { server, serverName, proxy } = endpoint
  const port = Number(server.port || 443)
  const tunnel = proxy === undefined ? undefined : await openTunnel(proxy, server.hostname, port, signal)
  // Sent only when given; an address is never sent, but checked all the same.
  const host = bareHost(server)
  const name = serverName ?? (isIP(host) === 0 ? host : undefined)
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host,
      port,
      secureContext,
      ALPNProtocols: ['h2', 'http/1.1'],
      ...(name !== undefined && { servername: name }),
      ...(tunnel !== undefined && { socket: tunnel })
    })
    const fail = (error: unknown) => {
      reject(toTransportError(error))
      socket.destroy()
    }
    const onClose = () => fail(undefined)
    const onTimeout = () => fail(new TransportError('ETIMEDOUT'))
    signal.addEventListener('abort', onClose)
    socket.once('error', fail).once('close', onClose).once('timeout', onTimeout).setTimeout(CONNECT_TIMEOUT)
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', onClose)
      socket.setTimeout(0).setNoDelay(true).off('error', fail).off('close', onClose).off('timeout', onTimeout)
      resolve(socket)
    })
    if (signal.aborted) onClose()
  })
}

function openTunnel(proxy: URL, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
    host: bareHost(proxy),
    port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
    method: 'CONNECT',
    path: `${host}:${port}`,
    headers: { host: `${host}:${port}`, ...proxyAuthorization(proxy) },
    timeout: CONNECT_TIMEOUT,
    signal,
    agent: false
  })
  return new Promise((resolve, reject) => {
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) resolve(socket.setTimeout(0))
      else {
        socket.destroy()
        reject(new TransportError(PROXY_REFUSED))
      }
    })
    request.once('response', () => reject(new TransportError(PROXY_REFUSED)))
    request.once('timeout', () => request.destroy(new TransportError('ETIMEDOUT')))
    request.once('error', reject)
    request.end()
  })
}

/** Without the brackets of an IPv6 address, as sockets want it. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {}
  const credential = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(credential).toString('base64')}` }
}

function toTransportError(error: unknown): TransportError {
  if (error instanceof TransportError) return error
  const { code, message } = (error ?? {}) as Partial<NodeJS.ErrnoException>
  const http2Code = /NGHTTP2_\w+/.exec(message ?? '')?.[0]
  return new TransportError(http2Code ?? code ?? 'ECONNRESET', error)
}
