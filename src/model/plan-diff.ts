import type { PlanContent } from './approved-plan.ts'
import { canonicalJson } from './json.ts'

/** One line of a difference, marked as in `diff`: ` ` in both, `-` approved only, `+` present only. */
export interface DiffLine {
  readonly mark: ' ' | '-' | '+'
  readonly text: string
}

/** What differs between an approved and the present plan, line by line; `approved` undefined: all that is known is another hash. */
export function diffPlans(approved: PlanContent | undefined, present: PlanContent): readonly DiffLine[] {
  if (approved === undefined) return linesOf(present).map((text) => ({ mark: '+', text }))
  const lines = diff(linesOf(approved), linesOf(present))
  if (lines.some(({ mark }) => mark !== ' ')) return lines
  // Steps that read the same may differ in what is not shown of them.
  return diff(detailsOf(approved), detailsOf(present))
}

function linesOf({ basis, titles }: PlanContent): readonly string[] {
  const key = basis.keyId === undefined ? 'off' : `${basis.keyId} (${basis.networkAccess ?? ''})`
  return [
    `operation ${basis.operation}${basis.cluster === undefined ? '' : ` on ${basis.cluster}`}`,
    ...(basis.cluster === undefined ? [] : [`KMS at the start: ${key}`, `Kubernetes ${basis.kubernetesMinor ?? ''}`]),
    ...(basis.resources ?? []),
    ...(titles.length === 0 ? ['no step'] : titles),
    ...basis.refusals.map((code) => `refused: ${code}`)
  ]
}

function detailsOf({ basis }: PlanContent): readonly string[] {
  return basis.steps.map((step) => canonicalJson(step))
}

/** By the longest common subsequence. */
function diff(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  const common: number[][] = before.map(() => after.map(() => 0))
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const row = common[i]
      if (row !== undefined)
        row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: DiffLine[] = []
  for (let i = 0, j = 0; i < before.length || j < after.length;) {
    const [old, fresh] = [before[i], after[j]]
    if (old !== undefined && old === fresh) {
      lines.push({ mark: ' ', text: old })
      i++
      j++
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ mark: '-', text: old })
      i++
    } else if (fresh !== undefined) {
      lines.push({ mark: '+', text: fresh })
      j++
    }
  }
  return lines
}
