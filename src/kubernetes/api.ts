import { ActionError, type Code } from '../errors.ts'
import { asObject, asText, isJsonObject, type JsonObject } from '../model/json.ts'
import { SYSTEM_CLOCK, type Clock } from './clock.ts'
import type { KubernetesEndpoint } from './connection.ts'
import type { Pace } from './pace.ts'
import { isCertificateProblem, isRetryable, PATIENCE, Retries } from './retry.ts'
import {
  NOT_HTTP2,
  PROXY_REFUSED,
  Transport,
  TransportError,
  type HttpAnswer,
  type HttpRequest,
  type Result
} from './transport.ts'

export interface ApiOptions {
  readonly endpoint: KubernetesEndpoint
  /** Ends every request and every wait, with its reason. */
  readonly signal?: AbortSignal | undefined
  readonly connections?: number
  /** How long one request is tried, in milliseconds. */
  readonly patience?: number
  /** Undefined: every request is sent at once. */
  readonly pace?: Pace | undefined
  readonly clock?: Clock
}

/** Sees every attempt of a request. */
export interface AttemptObserver {
  /** @param latency - from its sending to its last byte, in milliseconds. */
  onAnswer(latency: number): void
  onFailure(failure: Result): void
}

/** What a request is for. */
export interface Purpose {
  /** As in “The API server refused to <doing>”. */
  readonly doing: string
  /** What a 403 means; undefined: the caller judges it. */
  readonly forbidden?: Code
  /** What it means when only 5xx and 429 came; unset: the API server is not reachable. */
  readonly failed?: Code
}

/** Requests to one API server address that are tried again as long as that may help. `close()` ends them. */
export class Api {
  readonly #endpoint: KubernetesEndpoint
  readonly #transport: Transport
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal
  readonly #patience: number
  readonly #pace: Pace | undefined
  readonly #clock: Clock
  #answeredAt: number
  #lastPatch: HttpRequest | undefined

  constructor({ endpoint, signal, connections = 4, patience = PATIENCE, pace, clock = SYSTEM_CLOCK }: ApiOptions) {
    this.#endpoint = endpoint
    this.#signal = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])])
    this.#transport = new Transport({ endpoint, signal: this.#signal, connections })
    this.#patience = patience
    this.#pace = pace
    this.#clock = clock
    this.#answeredAt = clock.now()
  }

  /**
   * The answer, which is neither 401, 429 nor 5xx; nor 403 if the purpose has a code for it.
   * Throws ActionError with the purpose's code, `kubernetes-unauthorized` or `api-server-unreachable`, or the signal's reason.
   */
  async request(request: HttpRequest, purpose: Purpose): Promise<HttpAnswer> {
    const result = await this.attempt(request)
    if (result instanceof TransportError) throw this.unreachable(result)
    if (result.status === 401) throw this.unauthorized(result)
    if (result.status === 403 && purpose.forbidden !== undefined) {
      throw new ActionError(purpose.forbidden, refusalOf(purpose.doing, result))
    }
    if (!isRetryable(result.status)) return result
    throw purpose.failed === undefined
      ? this.unreachable(result)
      : new ActionError(purpose.failed, refusalOf(purpose.doing, result))
  }

  /** The last answer, or why there was none, after all retries. Rejects only with the signal's reason, or for want of a credential. */
  async attempt(request: HttpRequest, observer?: AttemptObserver): Promise<Result> {
    let retries: Retries | undefined
    for (;;) {
      if (this.#pace !== undefined) await this.#pace.turn(this.#signal)
      const sent = this.#clock.now()
      const result = await this.#transport.request(request)
      if (!(result instanceof TransportError) && !isRetryable(result.status)) {
        this.#answeredAt = this.#clock.now()
        if (request.method === 'PATCH') this.#lastPatch = request
        observer?.onAnswer(this.#answeredAt - sent)
        return result
      }
      if (!(result instanceof TransportError) && result.status === 401) this.#endpoint.rejectCredential()
      observer?.onFailure(result)
      retries ??= new Retries(this.#clock, this.#patience)
      const delay = retries.next(result)
      if (delay === undefined) return result
      await this.#clock.sleep(delay, this.#signal)
    }
  }

  /** False when no request at all was answered for as long as one is tried, nor is the last patch that was answered now. */
  async responds(): Promise<boolean> {
    if (this.#clock.now() - this.#answeredAt < this.#patience) return true
    if (this.#lastPatch === undefined) return false
    const answer = await this.#transport.request(this.#lastPatch)
    if (answer instanceof TransportError || isRetryable(answer.status)) return false
    this.#answeredAt = this.#clock.now()
    return true
  }

  close(): void {
    this.#closing.abort()
  }

  unauthorized(answer: HttpAnswer): ActionError {
    return new ActionError(
      'kubernetes-unauthorized',
      `${this.#address} did not accept the credential: ${reasonOf(answer)}`
    )
  }

  unreachable(failure: Result): ActionError {
    if (failure instanceof TransportError) {
      const { sentence, fix } = explain(this.#address, failure.code, this.#patience)
      return new ActionError('api-server-unreachable', sentence, { ...(fix !== undefined && { fix }), cause: failure })
    }
    return new ActionError('api-server-unreachable', `${this.#address} answered only with errors: ${reasonOf(failure)}`)
  }

  get #address(): string {
    return `The API server ${this.#endpoint.server.host}`
  }
}

/** A Kubernetes `Status`, as far as it is one. Its message may quote what was sent, but nothing is ever sent here. */
export interface Status {
  readonly reason: string
  readonly message: string
  readonly details: JsonObject
  /** `metadata.continue`. */
  readonly continueToken: string
}

export function statusOf(answer: HttpAnswer): Status {
  const body = jsonOf(answer) ?? {}
  const metadata = body['metadata']
  const details = body['details']
  return {
    reason: asText(body['reason']),
    message: asText(body['message']),
    details: asObject(details),
    continueToken: asText(asObject(metadata)['continue'])
  }
}

/** The body as a JSON object; undefined when it is none. */
export function jsonOf(answer: HttpAnswer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(answer.body.toString())
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** One line such as `403 Forbidden: pods is forbidden: …`. */
export function reasonOf(answer: HttpAnswer): string {
  const { reason, message } = statusOf(answer)
  return shorten([`${answer.status} ${reason}`.trim(), message].filter((part) => part !== '').join(': '))
}

export function refusalOf(doing: string, answer: HttpAnswer): string {
  return `The API server refused to ${doing}: ${reasonOf(answer)}`
}

export function shorten(text: string, most = 500): string {
  const line = text.replace(/\s+/g, ' ')
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}

function explain(address: string, code: string, patience: number): { sentence: string; fix?: string } {
  if (isCertificateProblem(code)) {
    return {
      sentence: `${address} shows a certificate that does not fit the kubeconfig: ${code}.`,
      fix: 'Fetch the kubeconfig again: the cluster’s authority may have been rotated. A proxy that opens TLS must let this host through.'
    }
  }
  if (code === NOT_HTTP2) {
    return {
      sentence: `What answers as ${address.replace('The', 'the')} does not speak HTTP/2, as every API server does.`,
      fix: 'Add the host to NO_PROXY, or let the proxy pass its TLS through unopened.'
    }
  }
  if (code === PROXY_REFUSED) {
    return {
      sentence: `The HTTP proxy opened no tunnel to ${address.replace('The', 'the')}.`,
      fix: 'Let the proxy CONNECT to this host and port, or add the host to NO_PROXY.'
    }
  }
  if (code === 'ENOTFOUND') return { sentence: `${address} is not known to this runner’s DNS (ENOTFOUND).` }
  return { sentence: `${address} did not answer this runner for ${Math.round(patience / 1000)} s: ${code}.` }
}
