import type { Cluster } from '../model/cluster.ts'
import { refusal, type Finding } from '../model/finding.ts'
import type { KmsOn } from '../model/kms-profile.ts'

/** A Private vault is reached from a network of the cluster's own, or, as AKS permits no longer, over Konnectivity. */
export function checkVnetIntegration({ vnetIntegration, kms }: Cluster, wanted: KmsOn): readonly Finding[] {
  if (vnetIntegration || wanted.networkAccess === 'Public') return []
  const attached = kms.enabled && kms.networkAccess === 'Private'
  return [refusal(attached ? 'private-vault-over-konnectivity' : 'vnet-integration-missing')]
}
