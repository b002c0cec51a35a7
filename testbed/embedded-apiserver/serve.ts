import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

import type { KubernetesUser } from '../contract.ts'
import { anonymous } from './authentication.ts'
import { denial, isPermitted } from './authorization.ts'
import type { Fault, FaultPlan, SeenRequest } from './faults.ts'
import { handle, json, text, type ApiResponse, type Run } from './handlers.ts'
import type { Incoming, Outgoing } from './listener.ts'
import { parseRequest, type RequestInfo } from './request-info.ts'
import { internalError, StatusError, unauthorized } from './status.ts'

/** One request from its arrival to its answer, by way of the faults that strike it. No user is a 401. */
export async function serve(
  incoming: Incoming,
  user: KubernetesUser | undefined,
  current: () => Run,
  faults: FaultPlan
): Promise<void> {
  const request: SeenRequest = { ...parseRequest(incoming.method, incoming.url), user: user ?? anonymous }
  const struck = faults.strike(request)
  for (const fault of struck) if (await strikeBefore(fault, incoming, request, faults)) return
  const answer = user === undefined ? status(unauthorized()) : await respond(incoming, request, current(), faults)
  const strikes = (kind: Fault['kind']): boolean => struck.some((fault) => fault.kind === kind)
  const endless = struck.find((fault) => fault.kind === 'endless')
  if (strikes('reset')) incoming.reset()
  else if (strikes('truncated')) incoming.respondInPart(outgoing(answer, incoming))
  else if (endless !== undefined) incoming.respondForEver(outgoing(answer, incoming), endless.floods)
  else {
    send(incoming, request, answer, faults)
    if (strikes('goaway')) incoming.goAway(true)
  }
}

/** Whether the fault is the end of the request, which then is not carried out. */
async function strikeBefore(
  fault: Fault,
  incoming: Incoming,
  request: SeenRequest,
  faults: FaultPlan
): Promise<boolean> {
  switch (fault.kind) {
    case 'delay':
      await sleep(fault.milliseconds)
      return false
    case 'meanwhile':
      await fault.does(request)
      return false
    case 'answer':
      send(incoming, request, failure(fault), faults)
      return true
    case 'refused-stream':
      incoming.refuse()
      return true
    case 'reset':
      if (!fault.carriedOut) incoming.reset()
      return !fault.carriedOut
    case 'goaway':
      if (!fault.answered) incoming.goAway(false)
      return !fault.answered
    case 'replaced': {
      const { 'content-type': contentType = 'text/plain', ...headers } = fault.headers
      send(incoming, request, { status: fault.status, contentType, body: fault.body, headers }, faults)
      return true
    }
    case 'truncated':
    case 'endless':
      return false
  }
}

async function respond(
  { header, body }: Incoming,
  request: SeenRequest,
  run: Run,
  faults: FaultPlan
): Promise<ApiResponse> {
  try {
    const { user } = request
    const permits = (info: RequestInfo): boolean => isPermitted(user, info) && !faults.forbids({ ...info, user })
    const denied = denial(user, request, permits(request))
    if (denied !== undefined) return status(denied)
    const contentType = header('content-type').split(';')[0]?.trim() ?? ''
    const api = { info: request, accept: header('accept'), contentType, body, permits }
    return await handle(api, run)
  } catch (error) {
    if (error instanceof StatusError) return status(error)
    return status(internalError(error instanceof Error ? (error.stack ?? error.message) : String(error)))
  }
}

function send(incoming: Incoming, request: SeenRequest, answer: ApiResponse, faults: FaultPlan): void {
  faults.observed({ request, status: answer.status, body: answer.body })
  incoming.respond(outgoing(answer, incoming))
}

function outgoing(answer: ApiResponse, { header }: Incoming): Outgoing {
  const { status: code, contentType, body, headers, compressible = false } = answer
  const compressed = compressible && /\bgzip\b/.test(header('accept-encoding'))
  return {
    status: code,
    headers: {
      'audit-id': randomUUID(),
      'cache-control': 'no-cache, private',
      'content-type': contentType,
      ...(compressed ? { 'content-encoding': 'gzip' } : {}),
      ...headers
    },
    body: compressed ? gzipSync(body) : body
  }
}

function status(error: StatusError): ApiResponse {
  const retryAfter = error.status.details?.retryAfterSeconds
  return {
    ...json(error.code, error.status),
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': String(retryAfter) } })
  }
}

/** As the API server words its own failures, and a balancer before it the others. */
function failure({ status: code, retryAfter }: Extract<Fault, { kind: 'answer' }>): ApiResponse {
  const headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
  switch (code) {
    case 429:
      return withHeaders(text(429, 'Too many requests, please try again later.\n'), headers)
    case 500:
      return withHeaders(status(internalError('etcdserver: request timed out')), headers)
    case 502:
      return withHeaders(text(502, 'Bad Gateway\n'), headers)
    case 503: {
      const unavailable = new StatusError(503, 'ServiceUnavailable', 'apiserver is shutting down', {})
      return withHeaders(status(unavailable), headers)
    }
    case 504: {
      const message = 'Timeout: request did not complete within requested timeout - context deadline exceeded'
      return withHeaders(status(new StatusError(504, 'Timeout', message, {})), headers)
    }
  }
}

const withHeaders = (answer: ApiResponse, headers: Readonly<Record<string, string>>): ApiResponse => ({
  ...answer,
  headers: { ...answer.headers, ...headers }
})
