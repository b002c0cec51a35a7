import { namespacesOf, type Population } from './population.ts'

/** What is measured on one cluster. */
export interface Plan {
  readonly population: Population
  readonly rttsMs: readonly number[]
  /** How often the action and the ceiling are measured. */
  readonly rounds: number
  /** Whether the built action rotates the key of the cluster first. */
  readonly bundle: boolean
}

interface PlanOptions {
  readonly bytes?: number
  readonly namespaces?: number
  readonly bundle?: boolean
}

const KB = 1_000
const NAMESPACE_SIZE = 100

const plan = (secrets: number, rttsMs: readonly number[], rounds: number, more: PlanOptions = {}): Plan => ({
  population: { secrets, bytes: more.bytes ?? KB, namespaces: more.namespaces ?? defaultNamespaces(secrets) },
  rttsMs,
  rounds,
  bundle: more.bundle ?? false
})

/** One run differs from the next by a tenth and more, and a short one by more still. */
export const WHOLE_TABLE: readonly Plan[] = [
  plan(1_000, [0], 9, { bundle: true }),
  plan(5_000, [0, 20, 80], 5),
  plan(10_000, [0, 20], 5),
  plan(25_000, [0], 5),
  plan(100_000, [0], 2, { bundle: true }),
  plan(2_000, [0], 5, { bytes: 200 * KB }),
  plan(10_000, [0], 5, { namespaces: 5_000 })
]

export function singleCase(secrets: number, rttMs: number, rounds: number, more: PlanOptions): Plan {
  return plan(secrets, [rttMs], rounds, more)
}

function defaultNamespaces(secrets: number): number {
  return Math.max(1, Math.round(secrets / NAMESPACE_SIZE))
}

/** How many Secrets kubectl is tried on first, to know how long all of them would take it. */
export function sampleOf({ secrets }: Population): number {
  return Math.min(secrets, Math.max(100, Math.min(2_000, Math.round(secrets / 20))))
}

/**
 * What the form per namespace may take for all Secrets: it says little that the documented form does not, and starts kubectl twice
 * for each namespace.
 */
export const PER_NAMESPACE_SECONDS = 60

/** kubectl is started twice for each: many small namespaces would take long to say the same. */
const MOST_SAMPLE_NAMESPACES = 50

export function sampleNamespacesOf(population: Population): number {
  return Math.min(MOST_SAMPLE_NAMESPACES, namespacesOf(population, sampleOf(population)))
}
