import { nameOf } from '../model/arm-id.ts'
import { withPreparation } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { noteMade } from './note-made.ts'
import type { StepDefinition } from './step-definition.ts'

export const createVault: StepDefinition<Extract<Step, { kind: 'create-vault' }>> = {
  withoutLock: true,
  describe({ vaultId, location, publicNetworkAccess }) {
    const network = publicNetworkAccess === 'Enabled' ? 'public network access' : 'no public network access'
    return `Make the key vault ${nameOf(vaultId)} in ${location} with Azure RBAC, soft delete, purge protection and ${network}`
  },
  predict({ vaultId, vaultUrl, location, tenantId, publicNetworkAccess }, observed) {
    const vault = {
      id: vaultId,
      name: nameOf(vaultId),
      url: vaultUrl,
      location,
      tenantId,
      rbac: true,
      softDelete: true,
      purgeProtection: true,
      publicNetworkAccess,
      selectedNetworks: false,
      accessPolicies: [],
      createdAt: observed.now,
      provisioned: true
    }
    return withPreparation(observed, () => ({
      vault: { kind: 'readable', vault },
      vaultLocation: undefined,
      key: { kind: 'unreadable', reason: 'not-found', message: '' },
      grants: []
    }))
  },
  async perform({ vaultId, location, tenantId, publicNetworkAccess }, context) {
    const vault = { location, tenantId, publicNetworkAccess }
    noteMade(context, 'vault', vaultId, await context.vaults.create(vaultId, vault, context.signal))
  }
}
