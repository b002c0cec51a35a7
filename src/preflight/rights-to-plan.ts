import type { Observed } from '../model/observed.ts'
import type { Request } from '../request.ts'
import { checkIdentityAssignment } from './identity.ts'
import { checkSecretsAccess } from './secrets-access.ts'

/**
 * The same for a dry run: another identity may carry the plan out than the one that makes it, which may well be one that only reads. What
 * this one may not do stands against no plan, then, and is noted.
 */
export function withRightsToPlan({ dryRun }: Pick<Request, 'dryRun'>, observed: Observed): Observed {
  if (!dryRun) return observed
  const { cluster, assignIdentity, findings } = observed
  const missing = [
    ...checkSecretsAccess(observed),
    ...(cluster === undefined ? [] : checkIdentityAssignment(cluster, assignIdentity))
  ]
  const notes = missing.map((finding) => ({
    ...finding,
    severity: 'note' as const,
    message: `This identity can’t carry the plan out. ${finding.message}`
  }))
  return { ...observed, missingRights: [], assignIdentity: 'unknown', findings: [...findings, ...notes] }
}
