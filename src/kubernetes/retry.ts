import { TransportError, type Result } from './transport.ts'
import type { Clock } from './clock.ts'

/** How long one request is tried, in milliseconds: an API server that is rolled refuses connections for up to a minute. */
export const PATIENCE = 150_000

const FIRST_DELAY = 250
const LONGEST_DELAY = 10_000
const LONGEST_RETRY_AFTER = 60_000

/** Whether an answer says nothing of what was asked: the API server is overloaded, failing, or does not know us yet. */
export function isRetryable(status: number): boolean {
  return status >= 500 || status === 429 || status === 401
}

/** The retries of one request. */
export class Retries {
  readonly #clock: Clock
  readonly #patience: number
  readonly #started: number
  #attempts = 0

  constructor(clock: Clock, patience: number) {
    this.#clock = clock
    this.#patience = patience
    this.#started = clock.now()
  }

  /**
   * Milliseconds to wait before the next attempt; undefined: there is to be none.
   * Full jitter on top of the server's own Retry-After, so that what was rejected together does not come back together.
   */
  next(failure: Result): number | undefined {
    this.#attempts++
    const spent = this.#clock.now() - this.#started
    if (this.#attempts > mostRetries(failure) || spent >= this.#patience) return undefined
    const ceiling = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.#attempts - 1))
    const delay = retryAfter(failure) + this.#clock.random() * ceiling
    return Math.min(delay, this.#patience - spent)
  }
}

/** Failures that time seldom mends are tried again a few times only. */
function mostRetries(failure: Result): number {
  if (failure instanceof TransportError) return isLasting(failure.code) ? 4 : Infinity
  return failure.status === 401 || failure.status === 500 ? 4 : Infinity
}

/** Certificates that don't fit, unknown hosts, proxies that refuse. */
export function isLasting(code: string): boolean {
  return (
    isCertificateProblem(code) ||
    code === 'ENOTFOUND' ||
    code === 'NOT_HTTP2' ||
    code === 'PROXY_REFUSED' ||
    code === 'EMSGSIZE'
  )
}

/** Source: nodejs.org/api/tls.html#x509-certificate-error-codes */
export function isCertificateProblem(code: string): boolean {
  return /CERT|CRL|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH/.test(code)
}

function retryAfter(failure: Result): number {
  if (failure instanceof TransportError) return 0
  const seconds = Number(failure.headers['retry-after'] ?? 0)
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, LONGEST_RETRY_AFTER) : 0
}
