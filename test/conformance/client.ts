import { connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'

import type { ControlPlane } from '../../testbed/contract.ts'

/** One request on one connection, with nothing added that was not asked for. */
export interface WireRequest {
  readonly method?: string
  readonly path: string
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** A client certificate and its key, PEM. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string }
}

export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body as it came, with its content coding. */
  readonly bytes: Buffer
}

export function overHttp1(controlPlane: ControlPlane, request: WireRequest): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(new URL(request.path, controlPlane.server), {
      method: request.method ?? 'GET',
      agent: false,
      ca: controlPlane.certificateAuthority,
      ...(request.clientCertificate === undefined
        ? {}
        : { cert: request.clientCertificate.certificate, key: request.clientCertificate.key }),
      // Of a DELETE Node sends the body without its length unless told.
      headers: {
        ...headersOf(request),
        ...(request.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(request.body)) })
      }
    })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const bytes = Buffer.concat(chunks)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: bytes.toString(), bytes })
      })
    })
    outgoing.end(request.body)
  })
}

export async function overHttp2(controlPlane: ControlPlane, request: WireRequest): Promise<WireAnswer> {
  const session = connect(controlPlane.server, { ca: controlPlane.certificateAuthority })
  try {
    return await new Promise<WireAnswer>((resolve, reject) => {
      session.on('error', reject)
      const stream = session.request({
        ':method': request.method ?? 'GET',
        ':path': request.path,
        ...headersOf(request)
      })
      const chunks: Buffer[] = []
      let answer = { status: 0, headers: {} }
      stream.on('response', (headers) => (answer = { status: headers[':status'] ?? 0, headers }))
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('end', () => {
        const bytes = Buffer.concat(chunks)
        resolve({ ...answer, text: bytes.toString(), bytes })
      })
      stream.end(request.body)
    })
  } finally {
    session.close()
  }
}

const headersOf = ({ token, headers }: WireRequest): Readonly<Record<string, string>> => ({
  ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  ...headers
})
