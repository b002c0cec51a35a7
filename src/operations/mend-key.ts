import type { ObservedCluster } from '../model/observed.ts'
import { keyOf } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { DAY_MS } from '../model/time.ts'
import { checkDataPlane } from '../preflight/data-plane.ts'
import { previousTroubleOf, troubleOf, type KeyTrouble } from '../preflight/key-in-use.ts'
import type { Request } from '../request.ts'
import { refused, step } from './reach.ts'

/** For how long a key version is made valid that has expired: AKS holds it until the rotation after the next has ended. */
const VALID_FOR = 90 * DAY_MS
/** Beyond the next rotation, for whatever delays it. */
const MARGIN = 30 * DAY_MS

/**
 * What comes before everything else: a key version in use that can't be used, and API servers that have not come back since, because
 * of the key version before it or for want of time. Undefined: nothing of that.
 */
export function mendKeyInUse(request: Request, observed: ObservedCluster): Decision | undefined {
  const trouble = troubleOf(observed)
  if (trouble !== undefined) return mend(request, observed, trouble)
  if (observed.apiServersReady !== false) return undefined
  const previous = previousTroubleOf(observed)
  return previous === undefined || previous.isLost
    ? step({ kind: 'wait-for-api-servers' })
    : mend(request, observed, previous)
}

function mend({ repair, maxKeyAge = 0 }: Request, observed: ObservedCluster, trouble: KeyTrouble): Decision {
  if (!repair || trouble.isLost) return refused(trouble.finding('refusal'))
  const findings = checkDataPlane(observed, 'repair')
  if (findings.length > 0) return refused(...findings)
  const { keyId, defects } = trouble
  return step({ kind: 'repair-key', keyId, defects, validFor: Math.max(VALID_FOR, maxKeyAge + MARGIN) })
}

/** Whether the cluster encrypts under a key version that was repaired only to be rotated off. */
export function isMended(observed: ObservedCluster): boolean {
  const { kms } = observed.cluster
  const key = kms.enabled ? keyOf(observed, kms.keyId) : undefined
  return key?.kind === 'readable' && key.key.repaired !== undefined
}
