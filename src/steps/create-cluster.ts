import { withKmsProfile } from '../azure/cluster-body.ts'
import type { Step } from '../model/step.ts'
import { profileInWords } from './profile-in-words.ts'
import { mayUseKey, untilRoleHasSpread } from './role-propagation.ts'
import { sayState } from './say-state.ts'
import type { StepDefinition } from './step-definition.ts'

export const createCluster: StepDefinition<Extract<Step, { kind: 'create-cluster' }>> = {
  withoutLock: true,
  describe({ profile }, { definition }) {
    const where = definition === undefined ? '' : ` in ${definition.location}`
    return `Create the cluster${where}, with KMS etcd encryption on from its start: ${profileInWords(profile)}`
  },
  predict({ profile }, observed) {
    if (observed.definition === undefined) return observed
    const cluster = { ...observed.definition, kms: profile, phase: 'ready', provisioningState: 'Succeeded' } as const
    return { ...observed, cluster, secretsProved: false }
  },
  async perform({ profile }, context) {
    const { clusters, definition, observed, log, signal } = context
    if (clusters === undefined || definition === undefined) throw new Error('Nothing says what to create.')
    const create = (): Promise<void> =>
      clusters.create(withKmsProfile(definition, profile), { signal, onPoll: sayState(log) })
    await (mayUseKey(observed, profile) ? untilRoleHasSpread(create, context) : create())
  }
}
