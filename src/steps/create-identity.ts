import { nameOf } from '../model/arm-id.ts'
import { withPreparation } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { noteMade } from './note-made.ts'
import type { StepDefinition } from './step-definition.ts'

/** Stands in a plan for the object id that Entra has not given yet. */
const PLANNED_PRINCIPAL = 'new'

export const createIdentity: StepDefinition<Extract<Step, { kind: 'create-identity' }>> = {
  withoutLock: true,
  describe({ identityId, location }) {
    return `Make the user-assigned identity ${nameOf(identityId)} in ${location}`
  },
  predict({ identityId, location }, observed) {
    return withPreparation(observed, ({ vault, tenantId }) => ({
      identity: {
        id: identityId,
        location,
        tenantId: vault.kind === 'readable' ? vault.vault.tenantId : (tenantId ?? ''),
        principalId: PLANNED_PRINCIPAL
      },
      identityLocation: undefined,
      grants: []
    }))
  },
  async perform({ identityId, location }, context) {
    const { identities, signal } = context
    noteMade(context, 'identity', identityId, await identities.create(identityId, location, signal))
  }
}
