import type { SeedSecret } from '../../testbed/contract.ts'
import { pseudoRandom } from '../../testbed/pseudo-random.ts'

/** The Secrets of a cluster: all of one size, and about as many in each namespace. */
export interface Population {
  readonly secrets: number
  /** Of a Secret's one value. */
  readonly bytes: number
  readonly namespaces: number
}

export interface SecretName {
  readonly namespace: string
  readonly name: string
}

/** What a way that is too slow for all Secrets is measured on: those with this label. */
export const SAMPLE_LABEL = { name: 'bench', value: 'sample' }

/** Begins the names of the namespaces, and of no other. */
export const NAMESPACE_PREFIX = 'team-'

/** Seeded at a time, so that not all values are in memory at once. */
const BATCH_BYTES = 20_000_000
const MOST_IN_A_BATCH = 2_000

export function nameAt({ secrets, namespaces }: Population, index: number): SecretName {
  const each = Math.ceil(secrets / namespaces)
  const number = (value: number): string => String(value).padStart(6, '0')
  return { namespace: NAMESPACE_PREFIX + number(Math.floor(index / each)), name: `secret-${number(index % each)}` }
}

/** Namespaces that hold the first `secrets` Secrets. */
export function namespacesOf(population: Population, secrets: number): number {
  return Math.ceil(secrets / Math.ceil(population.secrets / population.namespaces))
}

/** All of them; the first `sample` carry the label. */
export function* seedsOf(population: Population, sample: number): Generator<readonly SeedSecret[], void> {
  const { secrets, bytes } = population
  const batch = Math.max(1, Math.min(MOST_IN_A_BATCH, Math.floor(BATCH_BYTES / bytes)))
  const random = pseudoRandom(secrets)
  for (let start = 0; start < secrets; start += batch) {
    yield Array.from({ length: Math.min(batch, secrets - start) }, (_, offset) => ({
      ...nameAt(population, start + offset),
      ...(start + offset < sample && { labels: { [SAMPLE_LABEL.name]: SAMPLE_LABEL.value } }),
      data: { value: Buffer.from(random.text(bytes)).toString('base64') }
    }))
  }
}
