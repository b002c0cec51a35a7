import type { Cluster } from '../model/cluster.ts'
import { refusal, type Finding } from '../model/finding.ts'

/** The control plane reaches the vault by a user-assigned identity; AKS takes no other. */
export function checkIdentity(cluster: Cluster): readonly Finding[] {
  if (cluster.identityType.includes('UserAssigned')) return []
  return [
    refusal('identity-not-user-assigned', `The cluster’s identity is of type “${cluster.identityType || 'None'}”.`)
  ]
}
