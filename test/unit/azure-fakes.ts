import {
  createHttpHeaders,
  type HttpClient,
  type PipelineRequest,
  type PipelineResponse
} from '@azure/core-rest-pipeline'
import type { TokenCredential } from '@azure/core-auth'
import { readFileSync } from 'node:fs'
import { parseCloud, type Cloud } from '../../src/azure/clouds.ts'
import type { Pause } from '../../src/pause.ts'
import type { JsonObject } from '../../src/model/json.ts'

export interface Sent {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

export interface Answer {
  readonly status: number
  /** An object is sent as JSON, a string as HTML. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** The wire below the SDK: everything above it is real. An Error is thrown in place of an answer. */
export interface FakeWire extends HttpClient {
  readonly sent: Sent[]
}

export function fakeWire(answer: (sent: Sent) => Answer | Error): FakeWire {
  const sent: Sent[] = []
  return {
    sent,
    sendRequest(request: PipelineRequest): Promise<PipelineResponse> {
      const seen = {
        method: request.method,
        url: request.url,
        headers: request.headers.toJSON(),
        text: typeof request.body === 'string' ? request.body : ''
      }
      sent.push(seen)
      const given = answer(seen)
      if (given instanceof Error) return Promise.reject(given)
      const html = typeof given.body === 'string' ? given.body : undefined
      return Promise.resolve({
        request,
        status: given.status,
        headers: createHttpHeaders({
          'content-type': html === undefined ? 'application/json' : 'text/html',
          ...given.headers
        }),
        bodyAsText: html ?? (given.body === undefined ? '' : JSON.stringify(given.body))
      })
    }
  }
}

/** Answers one after the other; the last one for ever. */
export function fakeWireOf(...answers: readonly (Answer | Error)[]): FakeWire {
  let next = 0
  return fakeWire(() => answers[Math.min(next++, answers.length - 1)] ?? new Error('no answer was given'))
}

export const TOKEN = 'secret-access-token'
export const fakeCredential: TokenCredential = {
  getToken: () => Promise.resolve({ token: TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 })
}

/** Waits for nothing, and remembers how long it was to wait. */
export function fakePause(): { readonly pause: Pause; readonly waits: number[] } {
  const waits: number[] = []
  return {
    waits,
    pause(milliseconds, signal) {
      signal?.throwIfAborted()
      if (waits.push(milliseconds) > 1_000) return Promise.reject(new Error('waiting for ever'))
      return Promise.resolve()
    }
  }
}

export function cloudOf(name: string): Cloud {
  const cloud = parseCloud(name)
  if (cloud === undefined) throw new Error(`no cloud ${name}`)
  return cloud
}

export const PUBLIC_CLOUD = cloudOf('AzureCloud')

export interface RecordedCluster {
  readonly recording: string
  readonly exchange: number
  readonly method: string
  readonly body: JsonObject
}

export const RECORDED_CLUSTERS = recordings('managed-clusters.json') as readonly RecordedCluster[]

export function recordings(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../fixtures/recordings/${file}`, import.meta.url), 'utf8'))
}

/** What a promise was rejected with. Not told by its class: a DOMException is of another realm in jest. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => ({ error: error as Error })
  )
  if (outcome === undefined) throw new Error('nothing was thrown')
  return outcome.error
}
