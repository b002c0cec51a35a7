import { TransportError } from './transport.ts'
import type { Failure } from './retry.ts'

/** kube-apiserver takes 200 mutating requests at once, of all its clients, where it does not weigh them by priority. */
const MOST = 100
const FIRST = 32
const LEAST = 2

/**
 * How many requests may be under way at once: one more after as many answers, half as many when the API server says that it
 * has too much to do. An administrator's certificate is exempt from its priority and fairness, so it is for us to give way.
 */
export class AdaptiveLimit {
  #limit: number
  readonly #now: () => number
  #lastCut = -Infinity

  constructor(first = FIRST, now: () => number = Date.now) {
    this.#limit = first
    this.#now = now
  }

  get current(): number {
    return Math.floor(this.#limit)
  }

  onAnswer(underWay: number): void {
    if (underWay >= this.current) this.#limit = Math.min(MOST, this.#limit + 1 / this.#limit)
  }

  /** Requests that were under way together fail together: that counts once. */
  onFailure(failure: Failure): void {
    if (failure instanceof TransportError ? failure.code !== 'ETIMEDOUT' : ![429, 503, 504].includes(failure.status))
      return
    const now = this.#now()
    if (now - this.#lastCut < 1000) return
    this.#lastCut = now
    this.#limit = Math.max(LEAST, this.#limit / 2)
  }
}
