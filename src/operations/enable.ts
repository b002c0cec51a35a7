import type { Goal } from '../model/goal.ts'
import { sameKeyVersion } from '../model/key-id.ts'
import { refusal } from '../model/finding.ts'
import { checkKmsV1Secrets } from '../preflight/kms-v1-secrets.ts'
import { adviseProfile } from '../preflight/profile.ts'
import { checkVaultMode } from '../preflight/vault-mode.ts'
import type { Operation } from './operation.ts'
import { profileWith } from './profile.ts'
import { goalUnderWay, inForce, proveThenDone, reachProfile, refused } from './reach.ts'

/** KMS off → prove → set the profile → prove. */
export const enable: Operation = (request, observed) => {
  const { kms } = observed.cluster
  if (request.key === undefined) return refused(refusal('input-missing', '`enable` needs `key-id`.'))
  const wanted = profileWith(request.key.url, request, observed)
  const underWay = goalUnderWay(observed, 'enable')
  const resumable = underWay?.kms.enabled === true && sameKeyVersion(underWay.kms.keyId, wanted.keyId)

  if (kms.enabled && !resumable) {
    if (inForce(observed.cluster, wanted)) {
      const sentence = 'KMS etcd encryption was already on with this key version.'
      return proveThenDone(observed, sentence, adviseProfile(observed, wanted))
    }
    const otherMode = checkVaultMode(kms, wanted)
    if (otherMode.length > 0) return refused(...otherMode)
    return refused(refusal('kms-on-with-another-key', `The cluster encrypts under ${kms.keyId}.`))
  }
  const tooMany = kms.enabled ? [] : checkKmsV1Secrets(observed)
  if (tooMany.length > 0) return refused(...tooMany)

  const goal: Goal = resumable
    ? underWay
    : { operation: 'enable', kms: wanted, fromKeyId: undefined, kubernetesVersion: undefined }
  const resumed = resumable && observed.goal?.fromEarlierRun === true
  return reachProfile(observed, goal, goal.kms, {
    sentence: resumed
      ? 'Finished the interrupted enable: every Secret is encrypted under the key version.'
      : 'KMS etcd encryption is on, and every Secret is encrypted under the key version.'
  })
}
