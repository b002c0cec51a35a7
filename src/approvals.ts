import { changesNothing, checkApproval } from './model/approval.ts'
import type { Journal } from './journal.ts'
import type { Memory } from './memory.ts'
import type { ApprovedPlan } from './model/approved-plan.ts'
import type { Finding } from './model/finding.ts'
import type { Observed } from './model/observed.ts'
import type { Platform } from './platform.ts'
import type { Request } from './request.ts'

/** Asks for the approved plan once, and compares every plan that is made with it. */
export function createApprovals({ approval, operation }: Request, platform: Platform, memory: Memory) {
  let found: ApprovedPlan | undefined
  return {
    /** Why the journal's plan may not be carried out; undefined where it may. Throws what keeps the approved plan from being found. */
    async check(journal: Journal, observed: Observed): Promise<Finding | undefined> {
      const { plan } = journal
      if (approval === undefined || plan === undefined || changesNothing(plan)) return undefined
      found ??=
        approval.kind === 'hash'
          ? { hash: approval.hash, url: undefined, content: undefined }
          : await platform.approvedPlan(operation, journal.cluster)
      const verdict = checkApproval(found, plan, observed)
      journal.compared(found, verdict)
      platform.log.info(verdict.kind === 'granted' ? verdict.sentence : verdict.finding.message)
      if (verdict.kind === 'refused') return verdict.finding
      memory.approvedPlan = found.hash
      return undefined
    }
  }
}
