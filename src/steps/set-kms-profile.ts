import { withKmsProfile } from '../azure/cluster-body.ts'
import { KMS_OFF } from '../model/kms-profile.ts'
import { withCluster } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { profileInWords } from './profile-in-words.ts'
import { mayUseKey, untilRoleHasSpread } from './role-propagation.ts'
import { sayState } from './say-state.ts'
import { managed, type StepDefinition } from './step-definition.ts'

export const setKmsProfile: StepDefinition<Extract<Step, { kind: 'set-kms-profile' }>> = {
  describe(step, observed) {
    return `Set the cluster’s KMS profile: ${profileInWords(observed.cluster?.kms ?? KMS_OFF)} → ${profileInWords(step.profile)}`
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
