import { ActionError } from '../errors.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import type { KmsProfile } from '../model/kms-profile.ts'
import { accessOf, type Observed } from '../model/observed.ts'
import { pause as realPause, type Pause } from '../pause.ts'
import { formatDuration } from '../report/text.ts'
import type { StepContext } from './step-definition.ts'

/** Azure's own bound. Source: learn.microsoft.com/azure/role-based-access-control/troubleshooting */
const LONGEST_SPREAD_MS = 10 * 60_000
const FIRST_PAUSE_MS = 5_000
const LONGEST_PAUSE_MS = 60_000

/**
 * Repeats an update of the cluster that AKS rejects because it does not know yet of a permission which is given. A rejected
 * update has changed nothing.
 */
export async function untilRoleHasSpread(
  update: () => Promise<void>,
  { log, signal }: Pick<StepContext, 'log' | 'signal'>,
  { pause = realPause, now = Date.now }: { readonly pause?: Pause; readonly now?: () => number } = {}
): Promise<void> {
  const startedAt = now()
  for (let interval = FIRST_PAUSE_MS; ; interval = Math.min(interval * 2, LONGEST_PAUSE_MS)) {
    try {
      await update()
      return
    } catch (error) {
      if (!(error instanceof ActionError) || error.code !== 'key-permission-missing') throw error
      const waited = now() - startedAt
      if (waited + interval > LONGEST_SPREAD_MS) {
        throw new ActionError(
          error.code,
          `${error.message} The permission is given, but AKS did not see it within ${formatDuration(waited)}.`,
          { cause: error }
        )
      }
      log.info(
        `AKS does not see yet that the cluster’s identity may use the key, although it may: a role takes up to 10 minutes to spread. Next attempt in ${formatDuration(interval)}.`
      )
      await pause(interval, signal)
    }
  }
}

/** Whether the cluster's identity may use a profile's key, as Azure RBAC and the vault's access policies have it. */
export function mayUseKey(observed: Observed, profile: KmsProfile): boolean {
  const key = profile.enabled ? keyVersionFrom(profile.keyId) : undefined
  return key !== undefined && accessOf(observed, key)?.useKey === 'granted'
}
