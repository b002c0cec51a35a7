import { withCluster } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { sayState } from './say-state.ts'
import { managed, type StepDefinition } from './step-definition.ts'

/**
 * How long a cluster may be under somebody else's operation. An upgrade of many nodes takes hours and is not waited out; and half
 * of the run's own time is left for its work.
 */
const LIMIT_MS = 45 * 60_000

export const waitForCluster: StepDefinition<Extract<Step, { kind: 'wait-for-cluster' }>> = {
  withoutLock: true,
  describe(_step, observed) {
    return `Wait until the cluster and its node pools have left ${observed.cluster?.provisioningState ?? ''}`
  },
  predict(_step, observed) {
    return withCluster(observed, () => ({ phase: 'ready', provisioningState: 'Succeeded' }))
  },
  async perform(_step, context) {
    const { timeout, signal, log } = context
    await managed(context).clusters.waitUntilSettled(Math.min(LIMIT_MS, timeout / 2), { signal, onPoll: sayState(log) })
  }
}
