import { withVault } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import type { StepDefinition } from './step-definition.ts'

export const setVaultNetworkAccess: StepDefinition<Extract<Step, { kind: 'set-vault-network-access' }>> = {
  describe({ vault, access }) {
    return access === 'Disabled'
      ? `Close the vault ${vault.name} to public networks: from then on private endpoints alone lead to it, for everybody else who uses it too`
      : `Open the vault ${vault.name} to public networks, for everybody else who uses it too`
  },
  predict({ vault, access }, observed) {
    return withVault(observed, vault.url, { publicNetworkAccess: access })
  },
  async perform({ vault, access }, { vaults, memory, signal }) {
    memory.seen.vaults.delete(vault.url.toLowerCase())
    await vaults.setPublicNetworkAccess(vault.id, access, signal)
  }
}
