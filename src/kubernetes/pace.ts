import type { Clock } from './clock.ts'

/** Spreads requests evenly over time, so that no second has more of them than is permitted. */
export class Pace {
  readonly #interval: number
  readonly #clock: Clock
  #next = -Infinity

  constructor(requestsPerSecond: number, clock: Clock) {
    this.#interval = 1000 / requestsPerSecond
    this.#clock = clock
  }

  /** Resolves when it is the caller's turn; rejects with the signal's reason when it aborts. */
  async turn(signal: AbortSignal | undefined): Promise<void> {
    const now = this.#clock.now()
    const at = Math.max(now, this.#next)
    this.#next = at + this.#interval
    if (at > now) await this.#clock.sleep(at - now, signal)
  }
}
