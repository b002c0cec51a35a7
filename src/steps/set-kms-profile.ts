import { withKmsProfile } from '../azure/cluster-body.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import { KMS_OFF, type KmsProfile } from '../model/kms-profile.ts'
import { accessOf, withCluster, type Observed } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { plannedName } from './create-key-version.ts'
import { untilRoleHasSpread } from './role-propagation.ts'
import { sayState } from './say-state.ts'
import { managed, type StepDefinition } from './step-definition.ts'

export const setKmsProfile: StepDefinition<Extract<Step, { kind: 'set-kms-profile' }>> = {
  describe(step, observed) {
    return `Set the cluster’s KMS profile: ${inWords(observed.cluster?.kms ?? KMS_OFF)} → ${inWords(step.profile)}`
  },
  predict(step, observed) {
    return { ...withCluster(observed, () => ({ kms: step.profile, phase: 'ready' })), secretsProved: false }
  },
  async perform(step, context) {
    const { observed, memory, log, signal } = context
    const { clusters, cluster } = managed(context)
    memory.proved = undefined
    memory.keyChange = undefined
    const beganAt = Date.now()
    const update = (): Promise<void> =>
      clusters.update(cluster, withKmsProfile(cluster.body, step.profile), { signal, onPoll: sayState(log) })
    await (mayUseKey(observed, step.profile) ? untilRoleHasSpread(update, context) : update())
    // Where an earlier attempt failed on the way, the Secrets may be under the new key already.
    if (observed.cluster?.phase === 'ready') memory.keyChange = { beganAt, endedAt: Date.now() }
  }
}

/** As Azure RBAC and the vault's access policies have it. */
function mayUseKey(observed: Observed, profile: KmsProfile): boolean {
  const key = profile.enabled ? keyVersionFrom(profile.keyId) : undefined
  return key !== undefined && accessOf(observed, key)?.useKey === 'granted'
}

function inWords(profile: KmsProfile): string {
  if (!profile.enabled) return 'off'
  const key = keyVersionFrom(profile.keyId)
  if (key === undefined) return profile.keyId
  const version = plannedName(key.version) ?? `version ${key.version}`
  return `${key.vaultName}/${key.name} ${version} (${profile.networkAccess})`
}
