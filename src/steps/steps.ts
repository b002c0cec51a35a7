import type { Observed } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { addAccessPolicy } from './add-access-policy.ts'
import { assignRole } from './assign-role.ts'
import { createCluster } from './create-cluster.ts'
import { createIdentity } from './create-identity.ts'
import { createKey } from './create-key.ts'
import { createKeyVersion } from './create-key-version.ts'
import { createVault } from './create-vault.ts'
import { proveSecrets } from './prove-secrets.ts'
import { recordGoal } from './record-goal.ts'
import { repairKey } from './repair-key.ts'
import { setKmsProfile } from './set-kms-profile.ts'
import { setVaultNetworkAccess } from './set-vault-network-access.ts'
import type { StepContext, StepDefinition } from './step-definition.ts'
import { upgradeControlPlane } from './upgrade-control-plane.ts'
import { upgradeNodePools } from './upgrade-node-pools.ts'
import { waitForApiServers } from './wait-for-api-servers.ts'
import { waitForCluster } from './wait-for-cluster.ts'
import { waitForRoles } from './wait-for-roles.ts'
import { waitForVault } from './wait-for-vault.ts'

const STEPS: { readonly [K in Step['kind']]: StepDefinition<Extract<Step, { kind: K }>> } = {
  'wait-for-cluster': waitForCluster,
  'repair-key': repairKey,
  'wait-for-api-servers': waitForApiServers,
  'create-cluster': createCluster,
  'create-key-version': createKeyVersion,
  'record-goal': recordGoal,
  'prove-secrets': proveSecrets,
  'set-kms-profile': setKmsProfile,
  'set-vault-network-access': setVaultNetworkAccess,
  'upgrade-control-plane': upgradeControlPlane,
  'upgrade-node-pools': upgradeNodePools,
  'create-vault': createVault,
  'create-identity': createIdentity,
  'wait-for-vault': waitForVault,
  'create-key': createKey,
  'assign-role': assignRole,
  'add-access-policy': addAccessPolicy,
  'wait-for-roles': waitForRoles
}

/** A step together with what its kind knows of it. */
export interface BoundStep {
  readonly needsLock: boolean
  describe(observed: Observed): string
  predict(observed: Observed): Observed
  perform(context: StepContext): Promise<void>
}

export function bind(step: Step): BoundStep {
  // A step's own kind chose the definition, which TypeScript can't follow through the union.
  const definition = STEPS[step.kind] as unknown as StepDefinition<Step>
  return {
    needsLock: definition.withoutLock !== true,
    describe: (observed) => definition.describe(step, observed),
    predict: (observed) => definition.predict(step, observed),
    perform: (context) => definition.perform(step, context)
  }
}
