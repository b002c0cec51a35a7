import { refusal } from '../model/finding.ts'
import { hasCluster, type Observed, type ObservedCluster } from '../model/observed.ts'
import { changesKms, type OperationName } from '../model/operation.ts'
import type { Decision } from '../model/step.ts'
import { checkDataEncryption } from '../preflight/data-encryption.ts'
import { checkSecretsAccess } from '../preflight/secrets-access.ts'
import type { Request } from '../request.ts'
import { disable } from './disable.ts'
import { enable } from './enable.ts'
import { migrateV2 } from './migrate-v2.ts'
import { isMended, mendKeyInUse } from './mend-key.ts'
import type { Operation } from './operation.ts'
import { prepare } from './prepare.ts'
import { reconcile } from './reconcile.ts'
import { reencrypt } from './re-encrypt.ts'
import { done, refused, step } from './reach.ts'
import { rotate } from './rotate.ts'

const OPERATION: Readonly<Record<OperationName, Operation>> = {
  enable,
  rotate,
  disable,
  'migrate-v2': migrateV2,
  prepare,
  're-encrypt': (_request, observed) => reencrypt(observed),
  reconcile,
  // It has a loop of its own, over clusters: src/status.ts.
  status: () => done('There is nothing to change.')
}

/** The next step of the asked operation. */
export function decide(request: Request, observed: Observed): Decision {
  const decision = hasCluster(observed) ? decideOnCluster(request, observed) : decideWithoutCluster(request, observed)
  const findings = decision.kind === 'step' ? checkSecretsAccess(observed) : []
  return findings.length > 0 ? refused(...findings) : decision
}

function decideWithoutCluster(request: Request, observed: Observed): Decision {
  return request.operation === 'prepare' ? prepare(request, observed) : reencrypt(observed)
}

/** Once the cluster is in a state in which anything can be done. */
function decideOnCluster(request: Request, observed: ObservedCluster): Decision {
  const { phase, provisioningState } = observed.cluster
  const mending = request.operation === 'rotate' && phase !== 'deleting' ? mendKeyInUse(request, observed) : undefined
  if (mending !== undefined) return mending
  switch (phase) {
    case 'changing':
      return step({ kind: 'wait-for-cluster' })
    case 'stopped':
      return refused(refusal('cluster-stopped'))
    case 'deleting':
      return refused(refusal('cluster-deleting'))
    case 'failed':
      // A failed update of an operation that is under way is mended by going on with it, and one that failed for its key by rotating.
      if (observed.goal === undefined && !isMended(observed)) {
        return refused(refusal('cluster-failed', `The cluster or a node pool is in the state ${provisioningState}.`))
      }
      break
    case 'ready':
      break
  }
  const findings = changesKms(request.operation) ? checkDataEncryption(observed.cluster) : []
  return findings.length > 0 ? refused(...findings) : OPERATION[request.operation](request, observed)
}
