import { setTimeout as delay } from 'node:timers/promises'

export type Pause = (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>

/** Waits; throws the signal's reason as soon as it is aborted. */
export const pause: Pause = async (milliseconds, signal) => {
  signal?.throwIfAborted()
  try {
    await delay(milliseconds, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}
