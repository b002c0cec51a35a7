import { hasCluster, type Observed, type ObservedCluster } from '../model/observed.ts'
import { changesKms, type OperationName } from '../model/operation.ts'
import type { Decision } from '../model/step.ts'
import { checkDataEncryption } from '../preflight/data-encryption.ts'
import { checkSecretsAccess } from '../preflight/secrets-access.ts'
import type { Request } from '../request.ts'
import { atRest } from './at-rest.ts'
import { changeVaultMode } from './change-vault-mode.ts'
import { create } from './create.ts'
import { disable } from './disable.ts'
import { enable } from './enable.ts'
import { migrateV2 } from './migrate-v2.ts'
import { mendKeyInUse } from './mend-key.ts'
import type { Operation } from './operation.ts'
import { prepare } from './prepare.ts'
import { reconcile } from './reconcile.ts'
import { done, refused } from './reach.ts'
import { reencrypt } from './re-encrypt.ts'
import { rotate } from './rotate.ts'

const OPERATION: Readonly<Record<Exclude<OperationName, 'prepare' | 'create'>, Operation>> = {
  enable,
  rotate,
  disable,
  'change-vault-mode': changeVaultMode,
  'migrate-v2': migrateV2,
  're-encrypt': (_request, observed) => reencrypt(observed),
  reconcile,
  // It has a loop of its own, over clusters: src/status.ts.
  status: () => done('There is nothing to change.')
}

/** The next step of the asked operation. */
export function decide(request: Request, observed: Observed): Decision {
  const decision = decideHere(request, observed)
  const findings = decision.kind === 'step' ? checkSecretsAccess(observed) : []
  return findings.length > 0 ? refused(...findings) : decision
}

function decideHere(request: Request, observed: Observed): Decision {
  if (request.operation === 'create') return create(request, observed)
  if (request.operation === 'prepare') return prepare(request, observed)
  if (!hasCluster(observed)) return reencrypt(observed)
  if (observed.unreachable !== undefined) return refused(observed.unreachable)
  const mending =
    request.operation === 'rotate' && observed.cluster.phase !== 'deleting'
      ? mendKeyInUse(request, observed)
      : undefined
  return mending ?? atRest(observed) ?? decideAtRest(OPERATION[request.operation], request, observed)
}

function decideAtRest(operation: Operation, request: Request, observed: ObservedCluster): Decision {
  const findings = changesKms(request.operation) ? checkDataEncryption(observed.cluster) : []
  return findings.length > 0 ? refused(...findings) : operation(request, observed)
}
