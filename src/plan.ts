import { asObject } from './model/json.ts'
import { isLasting } from './model/approved-plan.ts'
import { keyIdOf } from './model/kms-profile.ts'
import type { Finding } from './model/finding.ts'
import type { Observed } from './model/observed.ts'
import { hashOfBasis, type PlanBasis } from './model/plan-basis.ts'
import { preparedResources, type PreparedResource } from './model/prepared-resources.ts'
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
): { readonly plan: Plan; readonly findings: readonly Finding[] } {
  const steps: { readonly step: Step; readonly title: string }[] = []
  let state = observed
  while (steps.length < MOST_STEPS) {
    const decision = decide(request, state)
    if (decision.kind !== 'step') {
      const refusals = decision.kind === 'refused' ? decision.findings : []
      const basis = basisOf(
        request,
        observed,
        steps.map(({ step }) => step),
        refusals.map(({ code }) => code)
      )
      const plan = {
        steps: steps.map(({ step, title }) => ({ kind: step.kind, title })),
        sentence: decision.kind === 'refused' ? refusals.map(({ message }) => message).join(' ') : decision.sentence,
        refused: decision.kind === 'refused',
        basis,
        hash: hashOfBasis(basis)
      }
      return { plan, findings: decision.findings }
    }
    const step = bind(decision.step)
    steps.push({ step: decision.step, title: step.describe(state) })
    state = step.predict(state)
  }
  const last = steps.slice(-4).map(({ title }) => title)
  throw new Error(`The plan of ${request.operation} does not end; its last steps are: ${last.join('; ')}.`)
}

function basisOf(
  { operation, preparation }: Request,
  { cluster, definition, preparation: seen }: Observed,
  steps: readonly Step[],
  refusals: readonly string[]
): PlanBasis {
  return {
    operation,
    cluster: (cluster ?? definition)?.id.toLowerCase(),
    keyId: (cluster && keyIdOf(cluster.kms))?.toLowerCase(),
    networkAccess: cluster?.kms.enabled === true ? cluster.kms.networkAccess : undefined,
    kubernetesMinor: cluster?.kubernetesVersion.split('.').slice(0, 2).join('.'),
    resources: preparation && seen && preparedResources(preparation, seen).map(inOneLine),
    // As JSON, in which a plan is kept and compared.
    steps: steps.filter(({ kind }) => isLasting(kind)).map((step) => asObject(JSON.parse(JSON.stringify(step)))),
    refusals
  }
}

function inOneLine({ name, id, state, differences }: PreparedResource): string {
  return [`${name} (${id.toLowerCase()}) ${state}`, ...differences.map(({ sentence }) => sentence)].join(' ')
}
