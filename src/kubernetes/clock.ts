import { pause } from '../pause.ts'

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
  sleep: (milliseconds, signal) => pause(milliseconds, signal),
  random: Math.random
}
