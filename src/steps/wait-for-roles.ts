import { withPreparation } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { pause } from '../pause.ts'
import { sayTime } from './say-time.ts'
import type { StepDefinition } from './step-definition.ts'

/** Between lines in the log, in milliseconds. */
const MINUTE = 60_000

/** Only the identity itself could try its roles, so that the time which Azure may take for them is waited out. */
export const waitForRoles: StepDefinition<Extract<Step, { kind: 'wait-for-roles' }>> = {
  withoutLock: true,
  describe() {
    return 'Wait until the new roles hold everywhere, for which Azure takes up to 10 minutes'
  },
  predict(_step, observed) {
    return withPreparation(observed, ({ grants }) => ({
      grants: grants?.map((grant) => ({ ...grant, createdAt: undefined }))
    }))
  },
  async perform({ until }, { log, signal }) {
    for (let left = until - Date.now(); left > 0; left = until - Date.now()) {
      log.info(`Waiting until ${sayTime(until)}.`)
      await pause(Math.min(left, MINUTE), signal)
    }
  }
}
