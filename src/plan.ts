import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from './model/json.ts'
import { keyIdOf } from './model/kms-profile.ts'
import type { Finding } from './model/finding.ts'
import type { Observed } from './model/observed.ts'
import type { Plan } from './model/report.ts'
import type { Step } from './model/step.ts'
import { decide } from './operations/decide.ts'
import type { Request } from './request.ts'
import { bind } from './steps/steps.ts'

/** More steps than any operation has: a plan that is longer never ends. */
export const MOST_STEPS = 60

/** The loop of `run`, unrolled over what each step predicts. Pure. */
export function makePlan(
  request: Request,
  observed: Observed
): { readonly plan: Plan; readonly refusals: readonly Finding[] } {
  const steps: { readonly step: Step; readonly title: string }[] = []
  let state = observed
  while (steps.length < MOST_STEPS) {
    const decision = decide(request, state)
    if (decision.kind !== 'step') {
      const refusals = decision.kind === 'refused' ? decision.findings : []
      const plan = {
        steps: steps.map(({ step, title }) => ({ kind: step.kind, title })),
        sentence: decision.kind === 'refused' ? refusals.map(({ message }) => message).join(' ') : decision.sentence,
        refused: decision.kind === 'refused',
        hash: hashOf(
          request,
          observed,
          steps.map(({ step }) => step),
          refusals.map(({ code }) => code)
        )
      }
      return { plan, refusals }
    }
    const step = bind(decision.step)
    steps.push({ step: decision.step, title: step.describe(state) })
    state = step.predict(state)
  }
  throw new Error(`The plan of ${request.operation} does not end.`)
}

/** Only what decisions depend on: no times, no eTags, no passing state of the cluster. */
function hashOf(request: Request, observed: Observed, steps: readonly Step[], refusals: readonly string[]): string {
  const lasting = steps.filter(({ kind }) => kind !== 'wait-for-cluster' && kind !== 'record-goal')
  const { cluster } = observed
  const facts = {
    operation: request.operation,
    cluster: cluster?.id.toLowerCase() ?? null,
    keyId: (cluster && keyIdOf(cluster.kms))?.toLowerCase() ?? null,
    networkAccess: cluster?.kms.enabled === true ? cluster.kms.networkAccess : null,
    minor: cluster?.kubernetesVersion.split('.').slice(0, 2).join('.') ?? null,
    steps: lasting,
    refusals
  }
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(facts)) as Json))
    .digest('hex')
}
