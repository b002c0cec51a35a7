import type { Cluster } from '../model/cluster.ts'
import { refusal, type Finding } from '../model/finding.ts'

/** A cluster with the newer KMS data encryption has no key version that could be set, and no way back from it. */
export function checkDataEncryption({ dataEncryption, kms }: Cluster): readonly Finding[] {
  switch (dataEncryption) {
    case undefined:
      return []
    case 'platform-key':
      return [
        refusal(
          'kms-data-encryption',
          'The cluster encrypts under a key of the platform, which Azure keeps and rotates by itself.'
        )
      ]
    case 'customer-key':
      return [
        refusal(
          'kms-data-encryption',
          `The cluster follows the key ${kms.enabled ? kms.keyId : ''}: AKS takes up its newest version within 6 hours, and re-encrypts by itself.`
        )
      ]
  }
}
