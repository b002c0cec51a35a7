import { pause as realPause, type Pause } from '../pause.ts'
import { FIRST_INTERVAL, nextInterval } from './long-running-operation.ts'
import type { ArmAnswer, ArmRequest, ResourceManager } from './resource-manager.ts'
import { isTransientStatus } from './retry-policy.ts'

/** How often a PUT is sent when Azure's answers to it get lost. */
const MOST_ATTEMPTS = 5

/** A PUT that makes the same thing however often it arrives, so that it is repeated where its answer was lost. */
export async function putIdempotently(
  arm: ResourceManager,
  request: Omit<ArmRequest, 'method'>,
  pause: Pause = realPause
): Promise<ArmAnswer> {
  for (let attempt = 1, interval = FIRST_INTERVAL; ; attempt++, interval = nextInterval(interval)) {
    const answer = await arm.send({ ...request, method: 'PUT' })
    const isLost = answer.status === 0 || isTransientStatus(answer.status)
    if (!isLost || attempt === MOST_ATTEMPTS) return answer
    await pause(interval, request.signal)
  }
}
