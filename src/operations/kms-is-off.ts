import { refusal, type Finding } from '../model/finding.ts'
import type { ObservedCluster } from '../model/observed.ts'

/** The refusal of what needs a key in use. An operation that had switched KMS off on its way is the one to go on with. */
export function kmsIsOff({ goal }: ObservedCluster): Finding {
  if (goal?.goal.kms.enabled !== true) return refusal('kms-off')
  const { operation } = goal.goal
  return refusal(
    'kms-off',
    `KMS etcd encryption is off on this cluster, because \`${operation}\` was interrupted.`,
    `Run \`${operation}\` again with the same inputs: it goes on where it stopped.`
  )
}
