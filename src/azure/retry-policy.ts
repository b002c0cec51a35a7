import {
  isRestError,
  type PipelinePolicy,
  type PipelineRequest,
  type PipelineResponse
} from '@azure/core-rest-pipeline'
import { pause as realPause, type Pause } from '../pause.ts'

const MAX_RETRIES = 8
const FIRST_DELAY = 1_000
const MAX_DELAY = 30_000
const ATTEMPT_TIMEOUT = 60_000

/** Failures to connect: the request can't have reached the service. */
const NOT_SENT: ReadonlySet<unknown> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH'
])

export interface RetryPolicyOptions {
  /** Whether a request may be repeated when it is not known if the service has carried it out. */
  readonly mayRepeat: (request: PipelineRequest) => boolean
  readonly pause?: Pause
  /** For one attempt, in milliseconds. */
  readonly attemptTimeout?: number
  readonly maxRetries?: number
}

/**
 * Repeats what Azure throttled or did not answer, with Azure's own Retry-After, else exponentially with full jitter.
 * It takes the place of the SDK's policy, which gives up on a 429 without Retry-After, on an attempt that hangs and on some network
 * errors, and repeats every method alike.
 */
export function transientRetryPolicy(options: RetryPolicyOptions): PipelinePolicy {
  const pause = options.pause ?? realPause
  return {
    name: 'transientRetryPolicy',
    async sendRequest(request, next) {
      const signal = request.abortSignal instanceof AbortSignal ? request.abortSignal : undefined
      for (let retry = 0; ; retry++) {
        const limit = AbortSignal.timeout(options.attemptTimeout ?? ATTEMPT_TIMEOUT)
        request.abortSignal = signal === undefined ? limit : AbortSignal.any([signal, limit])
        const attempt = await next(request).then(ofResponse, ofError)
        signal?.throwIfAborted()
        if (
          retry === (options.maxRetries ?? MAX_RETRIES) ||
          !isTransient(attempt) ||
          !(isUntouched(attempt) || options.mayRepeat(request))
        ) {
          if ('response' in attempt) return attempt.response
          throw attempt.error
        }
        const backoff = Math.random() * Math.min(MAX_DELAY, FIRST_DELAY * 2 ** retry)
        await pause(attempt.retryAfter ?? backoff, signal)
      }
    }
  }
}

/** `status` is 0 where there was no answer. */
type Attempt = { readonly status: number; readonly retryAfter: number | undefined } & (
  { readonly response: PipelineResponse } | { readonly error: unknown }
)

function ofResponse(response: PipelineResponse): Attempt {
  return { response, status: response.status, retryAfter: retryAfter(response.headers.get('retry-after')) }
}

/** The SDK throws for some answers too: those that call themselves JSON and are none. */
function ofError(error: unknown): Attempt {
  const response = isRestError(error) ? error.response : undefined
  return { error, status: response?.status ?? 0, retryAfter: retryAfter(response?.headers.get('retry-after')) }
}

function isTransient(attempt: Attempt): boolean {
  return attempt.status === 0 ? 'error' in attempt && isNetworkError(attempt.error) : isTransientStatus(attempt.status)
}

/** The service did not act on the request: it throttled it, or it never arrived. */
function isUntouched(attempt: Attempt): boolean {
  return attempt.status === 429 || ('error' in attempt && NOT_SENT.has(errorCode(attempt.error)))
}

export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505)
}

/** No answer at all; also the abort of an attempt that hung. */
export function isNetworkError(error: unknown): error is Error {
  return isRestError(error) ? error.response === undefined : error instanceof Error && error.name === 'AbortError'
}

/** `ECONNRESET` and the like, where the error has one. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** A Retry-After header, in seconds or as a date, in milliseconds from now. */
export function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '') return undefined
  const seconds = Number(header)
  const milliseconds = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds)
}
