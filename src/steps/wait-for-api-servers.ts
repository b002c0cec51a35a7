import { ActionError } from '../errors.ts'
import type { Step } from '../model/step.ts'
import { pause } from '../pause.ts'
import { formatDuration } from '../report/text.ts'
import type { StepDefinition } from './step-definition.ts'

/** A container that keeps failing is started anew every 5 minutes at the latest; and half of the run's own time is left for its work. */
const LIMIT_MS = 15 * 60_000
const POLL_MS = 3_000

export const waitForApiServers: StepDefinition<Extract<Step, { kind: 'wait-for-api-servers' }>> = {
  withoutLock: true,
  describe() {
    return 'Wait until the API servers are ready'
  },
  predict(_step, observed) {
    return { ...observed, apiServersReady: true }
  },
  async perform(_step, context) {
    const { timeout, signal, log } = context
    const kubernetes = await context.kubernetes()
    const startedAt = performance.now()
    const limit = Math.min(LIMIT_MS, timeout / 2)
    for (let said = ''; ;) {
      const obstacle = await kubernetes.obstacle()
      if (obstacle === undefined) return
      const waited = performance.now() - startedAt
      if (waited >= limit) {
        const message = `Not every API server is ready after ${formatDuration(waited)}. ${obstacle.sentence}`
        throw new ActionError('api-servers-not-ready', message)
      }
      if (obstacle.sentence !== said) log.info(`Not ready yet. ${obstacle.sentence}`)
      said = obstacle.sentence
      await pause(POLL_MS, signal)
    }
  }
}
