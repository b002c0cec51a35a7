import type { Log } from '../log.ts'

/** Puts Azure's word for the state into the log at every poll, with the time since the first. */
export function sayState(log: Log): (state: string) => void {
  const startedAt = performance.now()
  return (state) => {
    log.info(`AKS: ${state}, ${String(Math.round((performance.now() - startedAt) / 1000))} s`)
  }
}
