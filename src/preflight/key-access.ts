import type { ClusterIdentity } from '../model/cluster.ts'
import { finding, refusal, type Finding } from '../model/finding.ts'
import { keyVersionFrom, type KeyVersion } from '../model/key-id.ts'
import type { KmsOn } from '../model/kms-profile.ts'
import { accessOf, vaultOf, type Observed, type ObservedCluster } from '../model/observed.ts'
import type { Vault } from '../model/vault.ts'

/** Whether the cluster's identity may do at the vault what AKS does with it. AKS itself checks this for Public vaults only. */
export function checkKeyAccess(observed: ObservedCluster, wanted: KmsOn): readonly Finding[] {
  const { identity } = observed.cluster
  const key = keyVersionFrom(wanted.keyId)
  if (identity === undefined || key === undefined) return []
  const vault = vaultOf(observed, key.vaultUrl)
  const access = accessOf(observed, key)
  if (access === undefined || vault?.kind !== 'readable') return []
  const findings: Finding[] = []
  if (access.useKey === 'missing') findings.push(mayNotUse(key, vault.vault, identity))
  if (wanted.networkAccess === 'Private' && access.approvePrivateEndpoint === 'missing') {
    findings.push(mayNotApprove(vault.vault, identity))
  }
  return findings
}

function mayNotUse(key: KeyVersion, vault: Vault, identity: ClusterIdentity): Finding {
  const [how, fix] = vault.rbac
    ? ['none of its roles', grantRole(identity, 'Key Vault Crypto User', `${vault.id}/keys/${key.name}`)]
    : [
        'no access policy of the vault',
        `Permit it: \`az keyvault set-policy --name ${vault.name} --object-id ${identity.principalId ?? '<object id>'} --key-permissions encrypt decrypt\`.`
      ]
  return refusal(
    'key-permission-missing',
    `The cluster’s identity ${nameOf(identity)} may not encrypt and decrypt with the key ${key.name} in the vault ${vault.name}: ${how} permits it.`,
    fix
  )
}

function mayNotApprove(vault: Vault, identity: ClusterIdentity): Finding {
  return refusal(
    'private-endpoint-approval-missing',
    `The cluster’s identity ${nameOf(identity)} may not approve the private endpoint that AKS makes to the vault ${vault.name}.`,
    grantRole(identity, 'Key Vault Contributor', vault.id)
  )
}

function grantRole({ principalId = '<object id>' }: ClusterIdentity, role: string, scope: string): string {
  return `Grant the role: \`az role assignment create --assignee-object-id ${principalId} --assignee-principal-type ServicePrincipal --role "${role}" --scope ${scope}\`.`
}

function nameOf({ id }: ClusterIdentity): string {
  return id.split('/').at(-1) ?? id
}

/** The keys of which it can't be seen whether the cluster's identity may use them. */
export function noteUnknownAccess({ access, vaults }: Observed): readonly Finding[] {
  return [...access].flatMap(([key, { useKey }]) => {
    const vault = vaults.get(new URL(key).origin)
    if (useKey !== 'unknown' || vault?.kind !== 'readable') return []
    const why = vault.vault.rbac
      ? 'its role assignments at the vault may not be read, or hold under a condition'
      : 'an access policy that permits it is of another principal, which may be a group'
    const message = `Whether the cluster’s identity may encrypt and decrypt with ${key} can’t be seen from here: ${why}.`
    return [finding('note', 'key-permission-unknown', message)]
  })
}
