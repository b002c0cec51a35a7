import { nameOf } from '../model/arm-id.ts'
import { withPreparation } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { noteMade } from './note-made.ts'
import type { StepDefinition } from './step-definition.ts'

const KEYS = ['encrypt', 'decrypt']

export const addAccessPolicy: StepDefinition<Extract<Step, { kind: 'add-access-policy' }>> = {
  withoutLock: true,
  describe({ vaultId }) {
    return `Add ${KEYS.join(' and ')} to the identity’s access policy in the vault ${nameOf(vaultId)}`
  },
  predict({ objectId }, observed) {
    return withPreparation(observed, ({ vault: observation }) => {
      if (observation.kind === 'unreadable') return {}
      const { vault } = observation
      const accessPolicies = [...vault.accessPolicies, { objectId, keys: KEYS }]
      return { vault: { kind: 'readable', vault: { ...vault, accessPolicies } } }
    })
  },
  async perform({ vaultId, tenantId, objectId }, context) {
    const { vaults, signal } = context
    await vaults.addAccessPolicy(vaultId, { tenantId, objectId, keys: KEYS }, signal)
    noteMade(context, 'use-key', `the access policy of ${objectId} in ${vaultId}`, 'made')
  }
}
