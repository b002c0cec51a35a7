import { finding, refusal, type Finding } from '../model/finding.ts'
import type { Observed, ObservedCluster } from '../model/observed.ts'

/** As many Secrets AKS supports with KMS v1. Source: learn.microsoft.com/azure/aks/use-kms-etcd-encryption */
const MOST_SECRETS = 2_000

/** KMS v1 is not switched on where AKS does not support it. */
export function checkKmsV1Secrets({ cluster, secretCount = 0 }: ObservedCluster): readonly Finding[] {
  if (secretCount <= MOST_SECRETS) return []
  return [
    refusal(
      'kms-v1-too-many-secrets',
      `There are about ${inWords(secretCount)} Secrets, and the cluster runs Kubernetes ${cluster.kubernetesVersion}.`
    )
  ]
}

/**
 * KMS v1 asks Key Vault for every Secret, to read it and to write it. The least that Key Vault admits is 25 operations in a second,
 * under an RSA key of 4,096 bits in hardware; half of them would be ours.
 * Sources: k8s.io/apiserver/pkg/storage/value/encrypt/envelope/envelope.go, learn.microsoft.com/azure/key-vault/general/service-limits
 */
export const KMS_V1_REQUESTS_PER_SECOND = 10

/** The warning that a run with KMS v1 goes slowly over its Secrets; undefined where it need not. */
export function slowUnderKmsV1({ cluster, goal, secretCount = 0 }: Observed): Finding | undefined {
  const isInvolved = cluster?.kms.enabled === true || goal !== undefined
  if (!isInvolved || secretCount <= MOST_SECRETS) return undefined
  const minutes = Math.ceil(secretCount / KMS_V1_REQUESTS_PER_SECOND / 60)
  return finding(
    'warning',
    'kms-v1-slow',
    `About ${inWords(secretCount)} Secrets are more than the ${inWords(MOST_SECRETS)} that AKS supports with KMS v1. Key Vault is asked for each of them, so that this run goes through them at ${KMS_V1_REQUESTS_PER_SECOND} a second while KMS v1 is in force: about ${minutes} min for each pass.`
  )
}

/** `12,000` */
function inWords(count: number): string {
  return count.toLocaleString('en-US')
}
