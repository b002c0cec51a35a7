import { setTimeout } from 'node:timers/promises'

/** Time and chance, so that tests can stand in for both. */
export interface Clock {
  /** Milliseconds. */
  now(): number
  /** Rejects with the signal's reason when it aborts. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
  /** In [0, 1). */
  random(): number
}

export const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  async sleep(milliseconds, signal) {
    try {
      await setTimeout(milliseconds, undefined, { signal })
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error
    }
  },
  random: Math.random
}
