import type { ControlPlane, ControlPlaneOptions } from '../../testbed/contract.ts'
import { overHttp1 } from './client.ts'

/** What is put to the test, real or embedded. */
export interface Subject {
  readonly controlPlane: ControlPlane
  /** Makes etcd forget every revision before the present one. */
  compact(): Promise<void>
  /** Puts bytes into etcd for a Secret, past the API server. */
  store(namespace: string, name: string, bytes: Uint8Array): Promise<void>
}

export type Start = (options: ControlPlaneOptions) => Promise<Subject>

export const tokens = { operator: 'operator-token', stranger: 'stranger-token', unknown: 'no-such-token' }

export const authenticateToken: ControlPlaneOptions['authenticateToken'] = (token) => {
  if (token === tokens.operator) return { username: 'operator', groups: ['aks-kms-operators'] }
  return token === tokens.stranger ? { username: 'stranger', groups: ['others'] } : undefined
}

export interface Call {
  readonly body?: unknown
  readonly accept?: string
  readonly contentType?: string
  readonly token?: string
}

export interface Answer {
  readonly status: number
  /** Parsed; without managedFields, which the embedded API server doesn't keep. */
  readonly body: unknown
}

/** Calls as the action does: with a bearer token. A string goes as it is, everything else as JSON. */
export async function call(subject: Subject, method: string, path: string, about: Call = {}): Promise<Answer> {
  const body = about.body === undefined || typeof about.body === 'string' ? about.body : JSON.stringify(about.body)
  const answer = await overHttp1(subject.controlPlane, {
    method,
    path,
    token: about.token ?? tokens.operator,
    headers: {
      accept: about.accept ?? 'application/json',
      'user-agent': 'conformance',
      ...(body === undefined ? {} : { 'content-type': about.contentType ?? 'application/json' })
    },
    ...(body === undefined ? {} : { body })
  })
  return { status: answer.status, body: parsed(answer.text) }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text, (name, value: unknown) => (name === 'managedFields' ? undefined : value))
  } catch {
    return text
  }
}

/** A `Status` of a failure, whole. */
export const failure = (code: number, reason: string | undefined, message: unknown, details?: object): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  ...(reason === undefined ? {} : { reason }),
  ...(details === undefined ? {} : { details }),
  code
})

/** `metadata.resourceVersion` as a number. */
export function revisionOf(answer: Answer): number {
  const { metadata } = answer.body as { readonly metadata: { readonly resourceVersion: string } }
  return Number(metadata.resourceVersion)
}

/** Plants a Secret as the administrator and returns where it is. */
export async function plant(subject: Subject, namespace: string, name: string, more: object = {}): Promise<string> {
  const { controlPlane } = subject
  const known = await controlPlane.request('GET', `/api/v1/namespaces/${namespace}`)
  if (known.status === 404) await controlPlane.request('POST', '/api/v1/namespaces', { metadata: { name: namespace } })
  const path = `/api/v1/namespaces/${namespace}/secrets`
  const secret = { metadata: { name }, type: 'Opaque', data: { password: 'aHVudGVyMg==' }, ...more }
  const planted = await controlPlane.request('POST', path, secret)
  if (planted.status !== 201) throw new Error(`planting ${namespace}/${name}: ${JSON.stringify(planted.body)}`)
  return `${path}/${name}`
}
