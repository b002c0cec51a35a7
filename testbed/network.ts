import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext } from 'node:tls'

import type { CertificateAuthority } from './contract.ts'

/** A request as it came over the wire to one of the bed's public hosts. */
export interface WireRequest {
  readonly method: string
  /** Without the port, in lower case. */
  readonly host: string
  /** Without the query, as it was sent. */
  readonly path: string
  /** `?` and what follows, as it was sent; empty without a query. */
  readonly search: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface WireAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** A string is sent as it is, everything else as JSON, undefined as no body. */
  readonly body?: unknown
}

/** `reset` drops the connection without an answer. */
export type WireReply = WireAnswer | 'reset'
export type WireHandler = (request: WireRequest) => WireReply | Promise<WireReply>

/**
 * The only way out for a process under test: an HTTP CONNECT proxy that leads the names of the simulated services to
 * the bed and refuses every other name.
 */
export interface Network {
  readonly proxyUrl: string
  /** What a child process needs to come through here and to trust what it meets. */
  readonly environment: Readonly<Record<'HTTPS_PROXY' | 'NO_PROXY' | 'NODE_EXTRA_CA_CERTS', string>>
  /** Every `host:port` asked for that leads nowhere. */
  readonly refused: readonly string[]
  /** Every `host:port` that was let through. */
  readonly connected: readonly string[]
  /** What handlers threw: faults of the bed itself, never of the code under test. */
  readonly failures: readonly unknown[]
  /** Answers for a host name, or for every name that `host` accepts; the first that fits wins. */
  serve(host: string | ((name: string) => boolean), handler: WireHandler): void
  close(): Promise<void>
}

export async function startNetwork(options: { readonly certificateAuthority: CertificateAuthority }): Promise<Network> {
  const directory = await mkdtemp(join(tmpdir(), 'testbed-network-'))
  const authorityFile = join(directory, 'certificate-authority.pem')
  await writeFile(authorityFile, options.certificateAuthority.certificate)

  const handlers: { readonly accepts: (name: string) => boolean; readonly handler: WireHandler }[] = []
  const handlerOf = (name: string): WireHandler | undefined => handlers.find(({ accepts }) => accepts(name))?.handler
  const refused: string[] = []
  const connected: string[] = []
  const failures: unknown[] = []
  const sockets = new Set<Duplex>()

  const contexts = new Map<string, Promise<SecureContext>>()
  const contextOf = (name: string): Promise<SecureContext> => {
    const known = contexts.get(name)
    if (known !== undefined) return known
    const made = options.certificateAuthority
      .issue({ hosts: [name] })
      .then(({ certificate, key }) => createSecureContext({ cert: certificate, key }))
    contexts.set(name, made)
    return made
  }

  const https = createHttpsServer({
    SNICallback: (name, done) => {
      contextOf(name).then(
        (context) => done(null, context),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error)))
      )
    }
  })
  https.on('request', (request, response) => {
    answer(request, response, handlerOf(hostOf(request.headers.host))).catch((error: unknown) => {
      failures.push(error)
      response.writeHead(500, { 'content-type': 'text/plain' })
      response.end(`The test bed failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    })
  })

  const proxy = createHttpServer((request, response) => {
    refused.push(request.url ?? '')
    response.writeHead(502).end()
  })
  proxy.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const target = request.url ?? ''
    socket.on('error', () => socket.destroy())
    if (handlerOf(hostOf(target)) === undefined) {
      refused.push(target)
      socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    connected.push(target)
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
    https.emit('connection', socket)
  })
  await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening))
  const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`

  return {
    proxyUrl,
    environment: { HTTPS_PROXY: proxyUrl, NO_PROXY: '127.0.0.1,localhost', NODE_EXTRA_CA_CERTS: authorityFile },
    refused,
    connected,
    failures,
    serve(host, handler) {
      handlers.push({ accepts: typeof host === 'string' ? (name) => name === host : host, handler })
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      proxy.closeAllConnections()
      await new Promise((closed) => proxy.close(closed))
      await rm(directory, { recursive: true, force: true })
    }
  }
}

/** Hands one request to a handler and sends what it replies. */
export async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  handler: WireHandler | undefined
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const url = incoming.url ?? '/'
  const mark = url.indexOf('?')
  const search = mark < 0 ? '' : url.slice(mark)
  const reply: WireReply = (await handler?.({
    method: incoming.method ?? 'GET',
    host: hostOf(incoming.headers.host),
    path: mark < 0 ? url : url.slice(0, mark),
    search,
    query: new URLSearchParams(search),
    headers: incoming.headers,
    text: Buffer.concat(chunks).toString('utf8')
  })) ?? { status: 421 }
  if (reply === 'reset') {
    incoming.socket.destroy()
    return
  }
  const { status, headers = {}, body } = reply
  if (body === undefined) {
    response.writeHead(status, { 'content-length': '0', ...headers }).end()
  } else if (typeof body === 'string') {
    response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(body)
  } else {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
    response.end(JSON.stringify(body))
  }
}

function hostOf(authority: string | undefined): string {
  return (authority ?? '').replace(/:\d+$/, '').toLowerCase()
}
