import type { Goal } from '../model/goal.ts'
import { KMS_OFF } from '../model/kms-profile.ts'
import type { Operation } from './operation.ts'
import { goalUnderWay, proveThenDone, reachProfile } from './reach.ts'

/** Prove → switch off → prove under identity. */
export const disable: Operation = (_request, observed) => {
  const { kms } = observed.cluster
  const goal = goalUnderWay(observed, 'disable')
  if (!kms.enabled && goal === undefined) {
    return proveThenDone(observed, 'KMS etcd encryption was already off, and no Secret is under a key.')
  }
  const fresh: Goal = {
    operation: 'disable',
    kms: KMS_OFF,
    fromKeyId: kms.enabled ? kms.keyId : undefined,
    kubernetesVersion: undefined
  }
  const resumed = goal !== undefined && observed.goal?.fromEarlierRun === true
  return reachProfile(observed, goal ?? fresh, KMS_OFF, {
    sentence: resumed
      ? 'Finished the interrupted disable: KMS etcd encryption is off, and no Secret is under a key.'
      : 'KMS etcd encryption is off, and no Secret is under a key.'
  })
}
