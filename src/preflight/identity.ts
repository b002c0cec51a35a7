import type { Cluster } from '../model/cluster.ts'
import { refusal, type Finding } from '../model/finding.ts'
import type { Permission } from '../model/vault.ts'

/** The control plane reaches the vault by a user-assigned identity; AKS takes no other. */
export function checkIdentity(cluster: Cluster): readonly Finding[] {
  if (cluster.identityType.includes('UserAssigned')) return []
  return [
    refusal('identity-not-user-assigned', `The cluster’s identity is of type “${cluster.identityType || 'None'}”.`)
  ]
}

/** Azure asks this of whoever updates the cluster, whatever the update changes. */
export function checkIdentityAssignment({ identity }: Cluster, permission: Permission): readonly Finding[] {
  if (identity === undefined || permission !== 'missing') return []
  return [
    refusal(
      'identity-assign-forbidden',
      `The workflow’s identity may not use the cluster’s identity ${identity.id}, which every update of the cluster takes.`,
      `Grant the role: \`az role assignment create --assignee <client id of the workflow’s identity> --role "Managed Identity Operator" --scope ${identity.id}\`.`
    )
  ]
}
