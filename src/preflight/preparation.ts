import { groupOf, nameOf } from '../model/arm-id.ts'
import { refusal, type Finding } from '../model/finding.ts'
import type { ObservedPreparation, VaultKeyObservation, WantedPreparation } from '../model/preparation.ts'
import { isSpreading } from '../model/preparation-access.ts'
import type { Vault } from '../model/vault.ts'
import { checkKey, unreadableKey } from './key.ts'
import { checkVaultNetwork } from './vault-network.ts'
import { checkVaultTenant } from './vault-tenant.ts'

/** What would make KMS impossible with these things, found before any of them is made. */
export function checkPreparation(
  wanted: WantedPreparation,
  seen: ObservedPreparation,
  now: number
): readonly Finding[] {
  const vault = seen.vault.kind === 'readable' ? seen.vault.vault : undefined
  return [
    ...seen.missingGroups.map((name) => missingGroup(wanted, name)),
    ...(seen.vault.kind === 'unreadable' && seen.vault.reason === 'forbidden'
      ? [forbiddenVault(wanted, seen.vault.message)]
      : []),
    ...(seen.deletedVault === undefined ? [] : [deletedVault(wanted, seen.deletedVault)]),
    ...checkVaultTenant(seen.vault, seen.identity?.tenantId ?? seen.tenantId),
    ...checkVaultNetwork(seen.vault, wanted.networkAccess),
    ...(seen.key === undefined ? [] : checkPreparedKey(wanted, seen.key, vault, now)),
    ...checkGrants(wanted, seen)
  ]
}

function missingGroup({ location = '<location>' }: WantedPreparation, name: string): Finding {
  return refusal(
    'resource-group-not-found',
    `There is no resource group ${name}.`,
    `Make it: \`az group create --name ${name} --location ${location}\`; or correct the id.`
  )
}

function forbiddenVault({ vaultId }: WantedPreparation, message: string): Finding {
  return refusal(
    'authorization-failed',
    message,
    `Give this workflow’s identity the roles that docs/permissions.md names for \`prepare\`, on the resource group ${groupOf(vaultId).name}.`
  )
}

function deletedVault({ vaultId }: WantedPreparation, location: string): Finding {
  return refusal(
    'vault-deleted',
    `The vault ${nameOf(vaultId)} in ${location} is deleted, and its name is taken as long as it can be recovered.`,
    `Recover it: \`az keyvault recover --name ${nameOf(vaultId)} --location ${location}\`; or name another one.`
  )
}

function checkPreparedKey(
  { keyName, vaultId }: WantedPreparation,
  observation: VaultKeyObservation,
  vault: Vault | undefined,
  now: number
): readonly Finding[] {
  if (observation.kind === 'readable') return checkKey({ kind: 'readable', key: observation.key.version }, now)
  const { reason, message } = observation
  switch (reason) {
    case 'not-found':
      return []
    case 'deleted':
      return [
        refusal(
          'key-deleted',
          `The key ${keyName} of the vault ${nameOf(vaultId)} is deleted, and its name is taken as long as it can be recovered.`,
          `Recover it: \`az keyvault key recover --vault-name ${nameOf(vaultId)} --name ${keyName}\`; or name another one.`
        )
      ]
    case 'forbidden':
      return isSpreading(vault?.createdAt, now) ? [] : [unreadableKey(reason, message)]
  }
}

function checkGrants({ vaultId, networkAccess }: WantedPreparation, seen: ObservedPreparation): readonly Finding[] {
  const byRole = networkAccess === 'Private' || (seen.vault.kind === 'readable' && seen.vault.vault.rbac)
  if (seen.grants !== undefined || !byRole) return []
  return [
    refusal(
      'authorization-failed',
      `The identity of this workflow may not read the role assignments of the vault ${nameOf(vaultId)}.`,
      `Give it \`Role Based Access Control Administrator\` on the resource group ${groupOf(vaultId).name}, as docs/permissions.md explains.`
    )
  ]
}
