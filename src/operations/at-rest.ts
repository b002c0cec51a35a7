import { refusal } from '../model/finding.ts'
import type { ObservedCluster } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { isMended } from './mend-key.ts'
import { refused, step } from './reach.ts'

/** What has to come before anything can be done on a cluster; undefined where nothing has to. */
export function atRest(observed: ObservedCluster): Decision | undefined {
  const { phase, provisioningState } = observed.cluster
  switch (phase) {
    case 'changing':
      return step({ kind: 'wait-for-cluster' })
    case 'stopped':
      return refused(refusal('cluster-stopped'))
    case 'deleting':
      return refused(refusal('cluster-deleting'))
    case 'failed':
      // A failed update of an operation that is under way is mended by going on with it, and one that failed for its key by rotating.
      if (observed.goal !== undefined || isMended(observed)) return undefined
      return refused(refusal('cluster-failed', `The cluster or a node pool is in the state ${provisioningState}.`))
    case 'ready':
      return undefined
  }
}
