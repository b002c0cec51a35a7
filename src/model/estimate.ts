import type { JsonObject } from './json.ts'

/** How much a plan has to do, and about how long that takes, in milliseconds. */
export interface Estimate {
  /** How many Secrets there are, by the API server's own count; undefined where it does not say. */
  readonly secrets: number | undefined
  readonly minMs: number
  /** Undefined where nothing can be said of the longest. */
  readonly maxMs: number | undefined
}

/** Secrets per second of one pass, on the careful side: docs/performance.md has what was measured. */
const SECRETS_PER_SECOND = 500

const MINUTE = 60_000

/** What steps take on AKS that are done in Azure, from the least to the most. Others take seconds. */
const IN_AZURE: Readonly<Record<string, readonly [min: number, max: number | undefined]>> = {
  'set-kms-profile': [2 * MINUTE, 5 * MINUTE],
  'assign-role': [0, 10 * MINUTE],
  'create-cluster': [5 * MINUTE, undefined],
  'upgrade-control-plane': [5 * MINUTE, undefined],
  'upgrade-node-pools': [5 * MINUTE, undefined]
}

/** `steps`: those of a plan's basis. */
export function estimateSteps(steps: readonly JsonObject[], secrets: number | undefined): Estimate {
  let [min, max]: [number, number | undefined] = [0, secrets === undefined ? undefined : 0]
  for (const step of steps) {
    const kind = typeof step['kind'] === 'string' ? step['kind'] : ''
    const [least, most] = kind === 'prove-secrets' ? proof(step, secrets) : (IN_AZURE[kind] ?? [0, 0])
    min += least
    max = max === undefined || most === undefined ? undefined : max + most
  }
  return { secrets, minMs: min, maxMs: max }
}

/** After a change of key one pass writes the Secrets again, and another finds nothing stale; without one the first finds nothing. */
function proof({ when }: JsonObject, secrets = 0): readonly [number, number] {
  const pass = (secrets / SECRETS_PER_SECOND) * 1000
  return when === 'after-change' ? [2 * pass, 3 * pass] : [pass, 2 * pass]
}

export function proofsIn(steps: readonly JsonObject[]): { readonly all: number; readonly afterChange: number } {
  const proofs = steps.filter(({ kind }) => kind === 'prove-secrets')
  return { all: proofs.length, afterChange: proofs.filter(({ when }) => when === 'after-change').length }
}
