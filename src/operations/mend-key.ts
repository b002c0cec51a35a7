import type { ObservedCluster } from '../model/observed.ts'
import { keyOf } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { DAY_MS } from '../model/time.ts'
import { troubleOf } from '../preflight/key-in-use.ts'
import type { Request } from '../request.ts'
import { refused, step } from './reach.ts'

/** For how long a key version is made valid that has expired: AKS holds it until the rotation after the next has ended. */
const VALID_FOR = 90 * DAY_MS
/** Beyond the next rotation, for whatever delays it. */
const MARGIN = 30 * DAY_MS

/**
 * What comes before everything else: a key version in use that can't be used, and API servers that have not come back since.
 * Undefined: nothing of that.
 */
export function mendKeyInUse(request: Request, observed: ObservedCluster): Decision | undefined {
  const trouble = troubleOf(observed)
  if (trouble !== undefined) {
    if (!request.repair || trouble.isLost) return refused(trouble.finding('refusal'))
    const { keyId, defects } = trouble
    const validFor = Math.max(VALID_FOR, (request.maxKeyAge ?? 0) + MARGIN)
    return step({ kind: 'repair-key', keyId, defects, validFor })
  }
  return observed.apiServersReady === false ? step({ kind: 'wait-for-api-servers' }) : undefined
}

/** Whether the cluster encrypts under a key version that was repaired only to be rotated off. */
export function isMended(observed: ObservedCluster): boolean {
  const { kms } = observed.cluster
  const key = kms.enabled ? keyOf(observed, kms.keyId) : undefined
  return key?.kind === 'readable' && key.key.repaired !== undefined
}
