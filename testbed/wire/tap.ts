import { once } from 'node:events'
import {
  connect,
  constants,
  performServerHandshake,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'

import { createCertificateAuthority } from '../certificate-authority.ts'
import { RecordedAnswer, type Hit } from './recording.ts'

/** What a client of an API server needs to know. */
export interface Tapped {
  /** `https://127.0.0.1:<port>` */
  readonly server: string
  /** PEM */
  readonly certificateAuthority: string
}

/** Stands for an API server: `{ ...controlPlane, ...tap }` is a control plane that is reached through the tap. */
export interface WireTap extends Tapped {
  /** Answers so far, finished or not. */
  readonly answers: number
  /** Octets of their bodies, as they came. */
  readonly bytes: number
  /** Looks through the headers, bodies and trailers of all answers, decompressed, each needle as UTF-8. */
  search(needles: readonly string[]): readonly Hit[]
  stop(): Promise<void>
}

/**
 * Terminates HTTP/2 over TLS before an API server, with one connection to the server for each of the client's, and records
 * every answer that it passes on: what clients receive has gone through here in clear. Client certificates can't pass;
 * clients bring a bearer token.
 */
export async function startWireTap(target: Tapped): Promise<WireTap> {
  const authority = await createCertificateAuthority()
  const { certificate, key } = await authority.issue({ hosts: ['127.0.0.1'] })
  const answers: RecordedAnswer[] = []
  const sockets = new Set<Socket>()

  const listener = createServer({ cert: certificate, key, ALPNProtocols: ['h2'] }, (socket) => {
    const upstream = connect(target.server, { ca: target.certificateAuthority, settings: { enablePush: false } })
    upstream.on('error', () => socket.destroy())
    upstream.on('close', () => {
      if (session === undefined) socket.destroy()
      else session.close()
    })
    socket.on('error', () => upstream.destroy())
    socket.on('close', () => upstream.destroy())
    let session: ServerHttp2Session | undefined
    upstream.once('remoteSettings', (settings: Settings) => {
      session = join(socket, upstream, settings, (path) => {
        const answer = new RecordedAnswer(path)
        answers.push(answer)
        return answer
      })
    })
  })
  listener.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo

  return {
    server: `https://127.0.0.1:${port}`,
    certificateAuthority: authority.certificate,
    get answers() {
      return answers.length
    },
    get bytes() {
      return answers.reduce((sum, { length }) => sum + length, 0)
    },
    search: (needles) => answers.flatMap((answer) => answer.search(needles)),
    async stop() {
      const stopped = once(listener, 'close')
      listener.close()
      for (const socket of sockets) socket.destroy()
      await stopped
    }
  }
}

/** Numbers of streams are the same on both sides, since each request is passed on as it comes. */
function join(
  socket: TLSSocket,
  upstream: ClientHttp2Session,
  { maxConcurrentStreams }: Settings,
  record: (path: string) => RecordedAnswer
): ServerHttp2Session {
  const session = performServerHandshake(socket, {
    settings: { ...(maxConcurrentStreams !== undefined && { maxConcurrentStreams }) }
  })
  session.on('error', () => session.destroy())
  session.on('stream', (stream, headers, flags) => {
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    const request = upstream.request(headers, { endStream })
    pass(stream, request, record(headers[':path'] ?? ''))
  })
  upstream.on('goaway', (code: number, lastStream: number, debugData?: Buffer) => {
    session.goaway(code, lastStream, debugData)
  })
  return session
}

function pass(stream: ServerHttp2Stream, request: ClientHttp2Stream, answer: RecordedAnswer): void {
  let trailers: IncomingHttpHeaders = {}
  stream.on('error', () => {})
  stream.on('close', () => {
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) request.close(stream.rstCode)
  })
  request.on('error', () => {})
  request.on('close', () => {
    // `close` with a code would first end the answer as if it were whole.
    if (request.rstCode !== constants.NGHTTP2_NO_ERROR) stream.destroy(new Error('The server reset the stream.'))
  })
  stream.pipe(request)

  request.on('response', (headers: IncomingHttpHeaders) => {
    answer.addHeaders(headers)
    if (stream.destroyed) return
    stream.respond(headers, { waitForTrailers: true })
    request.on('data', (chunk: Buffer) => answer.addChunk(chunk))
    request.pipe(stream)
  })
  request.on('trailers', (headers: IncomingHttpHeaders) => {
    answer.addHeaders(headers)
    trailers = headers
  })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
}
