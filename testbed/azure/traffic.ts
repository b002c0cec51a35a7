import { setTimeout as sleep } from 'node:timers/promises'

import type { WireAnswer, WireHandler, WireReply, WireRequest } from '../network.ts'

/** A request that one of Azure's services has answered. Without its credentials. */
export interface LoggedRequest {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly search: string
  /** 0 where the connection was dropped in place of an answer. */
  readonly status: number
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
}

/** Something that goes wrong on the way, for the requests that fit. */
export interface Fault {
  readonly method?: string
  /** Tested against `https://<host><path>`. */
  readonly url: RegExp
  /** Requests to hit; 1 unless told. */
  readonly times?: number
  /** Requests to let pass first. */
  readonly skip?: number
  /** Milliseconds to wait before anything else. */
  readonly delay?: number
  /** Runs before the request is handled: what somebody else does in this very moment. */
  readonly meanwhile?: () => void | Promise<void>
  /** In place of an answer; without it the request is handled. */
  readonly reply?: WireReply
  /** The request is carried out, and its answer lost. */
  readonly loseAnswer?: boolean
}

export interface Traffic {
  readonly requests: readonly LoggedRequest[]
  /** The requests that ask for a change, whatever became of them: no reads, sign-ins, credentials or cryptography. */
  readonly writes: readonly LoggedRequest[]
  disturb(fault: Fault): void
  wrap(handler: WireHandler): WireHandler
}

export function createTraffic(): Traffic {
  const requests: LoggedRequest[] = []
  const faults: { readonly fault: Fault; skip: number; times: number }[] = []

  const next = (request: WireRequest): Fault | undefined => {
    const url = `https://${request.host}${request.path}`
    for (const entry of faults) {
      const { fault } = entry
      if (entry.times === 0 || !fault.url.test(url)) continue
      if (fault.method !== undefined && fault.method !== request.method) continue
      if (entry.skip > 0) {
        entry.skip--
        continue
      }
      entry.times--
      return fault
    }
    return undefined
  }

  return {
    requests,
    get writes() {
      return requests.filter(asksForChange)
    },
    disturb(fault) {
      faults.push({ fault, skip: fault.skip ?? 0, times: fault.times ?? 1 })
    },
    wrap: (handler) => async (request) => {
      const fault = next(request)
      if (fault?.delay !== undefined) await sleep(fault.delay, undefined, { ref: false })
      await fault?.meanwhile?.()
      const reply = fault?.reply ?? (await handler(request))
      const lost = fault?.loseAnswer === true || reply === 'reset'
      requests.push({
        method: request.method,
        host: request.host,
        path: request.path,
        search: request.search,
        status: lost ? 0 : reply.status,
        body: bodyOf(request)
      })
      return lost ? 'reset' : reply
    }
  }
}

const POLL = /\/providers\/Microsoft\.ContainerService\/locations\/[^/]+\/operations\//i
const CLUSTER = /\/providers\/Microsoft\.ContainerService\/managedClusters\/[^/]+$/i

/** Faults that Azure is known for. */
export const faults = {
  polls: (times: number, reply: WireReply): Fault => ({ method: 'GET', url: POLL, times, reply }),
  clusterReads: (times: number, reply: WireReply): Fault => ({ method: 'GET', url: CLUSTER, times, reply }),
  clusterWrites: (times: number, reply: WireReply): Fault => ({ method: 'PUT', url: CLUSTER, times, reply }),
  /** The PUT is carried out and nobody hears of it. */
  clusterWriteAnswerLost: (): Fault => ({ method: 'PUT', url: CLUSTER, loseAnswer: true })
} as const

/** Answers that Azure is known for. */
export const answers = {
  badGateway: {
    status: 502,
    body: { error: { code: 'BadGatewayConnection', message: 'The network connectivity issue encountered.' } }
  },
  gatewayTimeout: {
    status: 504,
    body: { error: { code: 'GatewayTimeout', message: 'The gateway did not receive a response in time.' } }
  },
  throttled: (retryAfter: number): WireAnswer => ({
    status: 429,
    headers: { 'retry-after': String(retryAfter) },
    body: { code: 'Throttled', message: 'The request is throttled.', details: null, subcode: '' }
  }),
  vaultThrottled: (retryAfter: number): WireAnswer => ({
    status: 429,
    headers: { 'retry-after': String(retryAfter) },
    body: {
      error: {
        code: 'Throttled',
        message:
          'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached'
      }
    }
  }),
  /** A cluster that ARM still has on its list and AKS has not. */
  clusterGone: {
    status: 404,
    body: {
      code: 'NotFound',
      details: [{ code: 'Unspecified', message: 'rpc error: code = NotFound desc = Managed Cluster not found' }],
      message: 'Could not find managed cluster resource.',
      subcode: 'GetManagedCluster_NotFound'
    }
  },
  /** What AKS says of a write while another one is under way, in its second form. */
  etagMismatch: {
    status: 409,
    body: {
      code: 'EtagMismatch',
      details: [{ code: 'Unspecified', message: 'rpc error: code = FailedPrecondition desc = Etag mismatched' }],
      message: 'Operation is not allowed: Another operation is in progress',
      subcode: 'PutManagedClusterAndComponents_FailedPrecondition'
    }
  }
} as const

function asksForChange({ method, path, status, body }: LoggedRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  if (/\/(oauth2\/v2\.0\/token|listCluster\w+Credential|encrypt|decrypt|wrapkey|unwrapkey|sign|verify)$/i.test(path)) {
    return false
  }
  // Key Vault's clients ask without a token and without a body first.
  return !(status === 401 && body === undefined)
}

function bodyOf({ text, path }: WireRequest): unknown {
  if (text === '' || path.endsWith('/oauth2/v2.0/token')) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
