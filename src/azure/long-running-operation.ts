import { isJsonObject } from '../model/json.ts'
import { parseServiceError, type ServiceError } from './errors.ts'
import type { Pause } from '../pause.ts'
import type { ArmAnswer, ResourceManager } from './resource-manager.ts'
import { isTransientStatus, retryAfter } from './retry-policy.ts'

/** Between polls, in milliseconds: 1 s, doubled up to 30 s. */
export const FIRST_INTERVAL = 1_000
const MAX_INTERVAL = 30_000

export type OperationEnd =
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'ended-badly'; readonly status: string; readonly error: ServiceError }
  /** The operation can't be followed: its record has vanished, or may not be read. */
  | { readonly kind: 'unknown' }

export interface PollOptions {
  readonly signal: AbortSignal | undefined
  readonly pause: Pause
  /** Gets Azure's own word for the state, such as `InProgress` or `CreatingAgentPools: 1/3 nodes completed`. */
  readonly onPoll: (status: string) => void
}

/**
 * Polls an `Azure-AsyncOperation` until it has ended. That Azure fails to answer says nothing of the operation, so only the signal
 * ends the polling early. The url is signed: it is used as it came and never shown.
 */
export async function waitForOperation(arm: ResourceManager, url: string, options: PollOptions): Promise<OperationEnd> {
  let asked: number | undefined
  for (let interval = FIRST_INTERVAL; ; interval = nextInterval(interval)) {
    await options.pause(asked ?? interval, options.signal)
    const answer = await arm.send({ method: 'GET', url, signal: options.signal })
    asked = retryAfter(answer.headers['retry-after'])
    if (isRefusal(answer)) return { kind: 'unknown' }
    const status = answer.status === 200 || answer.status === 202 ? statusOf(answer.body) : undefined
    if (status === undefined) continue
    if (status === 'Succeeded') return { kind: 'succeeded' }
    if (status === 'Failed' || status === 'Canceled') {
      return { kind: 'ended-badly', status, error: parseServiceError(answer.status, answer.body) }
    }
    options.onPoll(status)
  }
}

export function nextInterval(interval: number): number {
  return Math.min(MAX_INTERVAL, interval * 2)
}

function statusOf(body: unknown): string | undefined {
  const status = isJsonObject(body) ? body['status'] : undefined
  return typeof status === 'string' ? status : undefined
}

/** Azure's own refusal, not the page of a proxy on the way. */
function isRefusal({ status, body }: ArmAnswer): boolean {
  return status === 404 || (status >= 400 && !isTransientStatus(status) && isJsonObject(body))
}
