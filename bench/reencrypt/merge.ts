import type { BenchResult, Repetition } from './result.ts'
import { nameOf } from './tables.ts'

/** The first result, in which later runs take the place of what they measured again. */
export function mergeResults(first: BenchResult, ...later: readonly BenchResult[]): BenchResult {
  return later.reduce((merged, { command, startedAt, cases, bundles }) => {
    const names = cases.map(nameOf)
    const counts = bundles.map(({ secrets }) => secrets)
    return {
      ...merged,
      cases: merged.cases.map((one) => cases.find((other) => nameOf(other) === nameOf(one)) ?? one),
      bundles: [...merged.bundles.filter(({ secrets }) => !counts.includes(secrets)), ...bundles].sort(
        (a, b) => a.secrets - b.secrets
      ),
      again: [...(merged.again ?? []).flatMap((run) => without(names, run)), { command, startedAt, cases: names }]
    }
  }, first)
}

/** A repetition less the cases that were measured yet again. */
function without(names: readonly string[], run: Repetition): readonly Repetition[] {
  const cases = run.cases.filter((name) => !names.includes(name))
  return cases.length === 0 ? [] : [{ ...run, cases }]
}
