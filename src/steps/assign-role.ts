import { withPreparation } from '../model/observed.ts'
import { ROLES, type Purpose } from '../model/roles.ts'
import type { Step } from '../model/step.ts'
import { noteMade } from './note-made.ts'
import type { StepDefinition } from './step-definition.ts'

const WHAT_FOR: Readonly<Record<Purpose, string>> = {
  'use-key': 'on the key',
  'approve-private-endpoint': 'on the vault, to approve the private endpoint of AKS'
}

export const assignRole: StepDefinition<Extract<Step, { kind: 'assign-role' }>> = {
  withoutLock: true,
  describe({ purpose }) {
    return `Give the identity the role ${ROLES[purpose].name} ${WHAT_FOR[purpose]}`
  },
  predict({ purpose, scope }, observed) {
    const grant = {
      scope,
      conditional: false,
      createdAt: observed.now,
      permissions: [ROLES[purpose].permissions]
    }
    return withPreparation(observed, ({ grants = [] }) => ({ grants: [...grants, grant] }))
  },
  async perform({ purpose, principalId, scope }, context) {
    const { authorization, signal } = context
    const { id: roleId, name } = ROLES[purpose]
    const outcome = await authorization.assignRole({ principalId, roleId, scope }, signal)
    noteMade(context, purpose, `the role assignment ${name} on ${scope}`, outcome)
  }
}
