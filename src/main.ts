import { ActionError, ClusterChangedError, toActionError } from './errors.ts'
import { Journal } from './journal.ts'
import type { Lock } from './kubernetes/lock.ts'
import { emptyMemory } from './memory.ts'
import { createApprovals } from './approvals.ts'
import { refusal } from './model/finding.ts'
import type { ClusterRecord } from './model/goal.ts'
import { hasSameKms, type Observed } from './model/observed.ts'
import { changesKms } from './model/operation.ts'
import type { RunReport } from './model/report.ts'
import type { Step } from './model/step.ts'
import { observe } from './observe/observe.ts'
import { decide } from './operations/decide.ts'
import { makePlan, MOST_STEPS } from './plan.ts'
import type { Platform } from './platform.ts'
import type { Request } from './request.ts'
import { reencrypt } from './steps/prove-secrets.ts'
import type { StepContext } from './steps/step-definition.ts'
import { bind } from './steps/steps.ts'

/** Others may change the cluster while we look at it; after so many times in a row something is wrong. */
const MOST_SURPRISES = 10

/**
 * One run: observe, decide, perform, and observe again, until the operation is done or refused. Never throws: what went
 * wrong is in the report.
 */
export async function run(request: Request, platform: Platform): Promise<RunReport> {
  const { log } = platform
  const memory = emptyMemory()
  const journal = new Journal(request, platform, memory)
  const approvals = createApprovals(request, platform, memory)
  let lock: Lock | undefined
  /** Whether a step was carried out other than waiting. */
  let begun = false
  /** What may be observed by what this run itself has done, in one of these ways. */
  let expected: readonly Observed[] = []
  try {
    for (let steps = 0, surprises = 0; steps < MOST_STEPS;) {
      platform.signal.throwIfAborted()
      const observation = await observe(request, platform, memory)
      const { observed } = observation
      journal.saw(observed)
      const decision = decide(request, observed)
      const waiting = decision.kind === 'step' && decision.step.kind === 'wait-for-cluster'
      const needsLock = decision.kind === 'step' && bind(decision.step).needsLock
      // Until something is begun, the plan is made anew: others may change the cluster while this run waits for it.
      if (!begun && !waiting) journal.planned(makePlan(request, observed))
      if (decision.kind === 'refused') return journal.refused(decision.findings)
      if (!begun && !waiting) {
        const objection = await approvals.check(journal, observed)
        if (objection !== undefined) return journal.refused([objection])
      }
      const isOwn = expected.length === 0 || expected.some((one) => hasSameKms(one, observed))
      if (begun && request.approval !== undefined && !isOwn) {
        return journal.refused([
          refusal(
            'plan-changed',
            'Somebody changed the KMS profile of the cluster while the approved plan was carried out.'
          )
        ])
      }
      if (request.dryRun && !waiting) {
        journal.estimated(await countSecrets(platform, journal))
        return journal.onlyPlanned()
      }
      if (decision.kind === 'done') {
        if (lock !== undefined && changesKms(request.operation)) await closeRecord(platform, observed.record)
        return journal.done(decision.sentence, decision.findings)
      }
      if (lock === undefined && needsLock) {
        lock = await log.group('Take the lock on the cluster', async () => (await platform.kubernetes()).lock.acquire())
        continue
      }

      const context: StepContext = {
        ...platform,
        observed,
        cluster: observation.cluster,
        definition: request.clusterDefinition,
        memory,
        timeout: request.timeout,
        signal: lock === undefined ? platform.signal : AbortSignal.any([platform.signal, lock.lost])
      }
      begun ||= !waiting
      const predicted = bind(decision.step).predict(observed)
      try {
        await perform(decision.step, context, journal)
        expected = [predicted]
        steps++
        surprises = 0
      } catch (error) {
        if (!(error instanceof ClusterChangedError) || ++surprises > MOST_SURPRISES) throw error
        log.info(`${error.message} Looking again.`)
        // It may be this run's own update, whose answer was lost.
        expected = [observed, predicted]
      }
    }
    throw new Error(`${request.operation} did not end after ${String(MOST_STEPS)} steps.`)
  } catch (error) {
    return await journal.failed(toActionError(error))
  } finally {
    await lock?.release()
    await platform.close()
  }
}

/** For an estimate: where it can't be had, there is none. */
async function countSecrets({ kubernetes, log }: Platform, { plan }: Journal): Promise<number | undefined> {
  if (plan?.basis.steps.some(({ kind }) => kind === 'prove-secrets') !== true) return undefined
  try {
    return await (await kubernetes()).countSecrets()
  } catch (error) {
    log.debug(`The Secrets could not be counted: ${toActionError(error).message}`)
    return undefined
  }
}

async function perform(step: Step, context: StepContext, journal: Journal): Promise<void> {
  const bound = bind(step)
  const title = bound.describe(context.observed)
  try {
    await journal.step(step.kind, title, () => context.log.group(title, () => bound.perform(context)))
  } catch (error) {
    if (step.kind === 'set-kms-profile' && mayHaveBegun(error)) await salvage(context, journal)
    throw error
  }
}

/** Whether the API servers may already write under another key than before. */
function mayHaveBegun(error: unknown): boolean {
  return (
    error instanceof ActionError &&
    (error.code === 'cluster-update-failed' ||
      error.code === 'azure-unavailable' ||
      error.code === 'cluster-stuck-updating')
  )
}

/** A failed update may leave API servers under different keys for good. */
const SALVAGE_PATIENCE_MS = 60_000

/**
 * After a failed update the Secrets are re-encrypted all the same, if the API server answers, so that none is left under a
 * key that goes next. Source: learn.microsoft.com/azure/aks/use-kms-etcd-encryption
 */
async function salvage(context: StepContext, journal: Journal): Promise<void> {
  const title = 'Re-encrypt every Secret although the update failed'
  try {
    await journal.step('prove-secrets', title, () =>
      context.log.group(title, async () => {
        // Which key the API servers write under now is for them to say.
        await reencrypt('after-change', context, { writeKey: { kind: 'unknown' }, behindMs: SALVAGE_PATIENCE_MS })
      })
    )
  } catch (error) {
    context.log.info(`This failed too: ${toActionError(error).message}`)
  }
}

/** The goal is reached: the record keeps what was proved, and nothing is under way any more. */
async function closeRecord(platform: Platform, record: ClusterRecord): Promise<void> {
  if (record.goal !== undefined)
    await (await platform.kubernetes()).record.write({ ...record, goal: undefined, approvedPlan: undefined })
}
