import { isLasting, type ApprovedPlan } from './approved-plan.ts'
import { refusal, type Finding } from './finding.ts'
import { sameKeyVersion } from './key-id.ts'
import { keyIdOf } from './kms-profile.ts'
import type { Observed } from './observed.ts'
import { diffPlans, type DiffLine } from './plan-diff.ts'
import type { Plan } from './report.ts'

/** Whether the present plan may be carried out, by a plan that was approved; else what differs. */
export type Approval =
  | { readonly kind: 'granted'; readonly sentence: string }
  | { readonly kind: 'refused'; readonly finding: Finding; readonly diff: readonly DiffLine[] }

export function checkApproval(approved: ApprovedPlan, plan: Plan, observed: Observed): Approval {
  if (plan.hash === approved.hash)
    return { kind: 'granted', sentence: `The plan is the approved one (${short(plan.hash)}).` }
  if (isUnderWay(approved, observed)) {
    return {
      kind: 'granted',
      sentence: `An interrupted run of the approved plan (${short(approved.hash)}) is under way: going on with it.`
    }
  }
  const titles = plan.steps.filter(({ kind }) => isLasting(kind)).map(({ title }) => title)
  const diff = diffPlans(approved.content, { basis: plan.basis, titles })
  return { kind: 'refused', finding: refusal('plan-changed', inWords(approved, plan, diff)), diff }
}

/** A plan that changes nothing in Azure needs nobody's approval: such as that of a job that is run again after it was green. */
export function changesNothing(plan: Plan): boolean {
  return plan.basis.steps.every(({ kind }) => kind === 'prove-secrets')
}

/** These switch KMS off on their way. */
const BY_WAY_OF_OFF: readonly string[] = ['migrate-v2', 'change-vault-mode']

/**
 * The record says that a run under this plan set out for a goal, and the cluster is at that goal's start, its end, or between: then
 * what is left of the plan goes on to it. Anything else means that somebody changed the cluster in between.
 */
function isUnderWay(approved: ApprovedPlan, { record, goal, cluster }: Observed): boolean {
  if (record.approvedPlan !== approved.hash || goal === undefined || cluster === undefined) return false
  const current = keyIdOf(cluster.kms)
  if (current === undefined && BY_WAY_OF_OFF.includes(goal.goal.operation)) return true
  return [goal.goal.fromKeyId, keyIdOf(goal.goal.kms)].some(
    (keyId) => keyId === current || sameKeyVersion(keyId, current)
  )
}

/** So many lines are in the message; all of them are in the summary. */
const MOST_LINES = 6

function inWords(approved: ApprovedPlan, plan: Plan, diff: readonly DiffLine[]): string {
  const where = approved.url === undefined ? '' : ` in ${approved.url}`
  const hashes = `Approved${where} was ${short(approved.hash)}; now it would be ${short(plan.hash)}. Nothing was changed.`
  if (approved.content === undefined) return hashes
  const changes = diff.filter(({ mark }) => mark !== ' ')
  const shown = changes.slice(0, MOST_LINES).map(({ mark, text }) => `${mark === '-' ? 'Approved:' : 'Now:'} ${text}`)
  const more = changes.length - shown.length
  return [hashes, ...shown, ...(more > 0 ? [`… and ${String(more)} more.`] : [])].join('\n')
}

function short(hash: string): string {
  return `${hash.slice(0, 12)}…`
}
