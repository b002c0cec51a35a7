import { ActionError } from '../errors.ts'
import type { ClusterName } from '../model/cluster.ts'
import type { DesiredState } from '../desired-state.ts'
import type { DesiredCluster } from '../model/desired-cluster.ts'
import { asText, canonicalJson, isJsonObject, type Json } from '../model/json.ts'

/** One leg of a matrix: what a job needs to know of its cluster. Property names are those of the inputs that they fill. */
export interface Leg {
  /** Unique among the legs, and safe in names of jobs and artifacts. */
  readonly name: string
  readonly 'subscription-id': string
  readonly 'resource-group': string
  readonly 'cluster-name': string
  /** GitHub environment of the leg; empty: whatever the workflow says. */
  readonly environment: string
}

/** As `strategy.matrix` takes it. */
export interface Matrix {
  readonly include: readonly Leg[]
}

export interface Matrices {
  /** Those that go first. */
  readonly canary: Matrix
  /** All others, in matrices that fit into one job each. */
  readonly batches: readonly Matrix[]
}

/** Most legs that GitHub makes of one job's matrix. Source: docs.github.com/actions/reference/limits */
export const MOST_LEGS = 256

/** Distributes the legs, in their order, over the canary and batches of `batchSize` at most. */
export function distribute(legs: readonly Leg[], canary: number, batchSize: number): Matrices {
  const rest = legs.slice(canary)
  const batches = Array.from({ length: Math.ceil(rest.length / batchSize) }, (_, i) => ({
    include: rest.slice(i * batchSize, (i + 1) * batchSize)
  }))
  return { canary: { include: legs.slice(0, canary) }, batches }
}

/** The clusters of a desired state that were not there before, or not like that, in their order. */
export function changedLegs(desired: DesiredState, before: DesiredState | undefined): readonly Leg[] {
  const known = new Map(before?.clusters.map((cluster) => [cluster.name, fingerprint(cluster)]))
  return desired.clusters
    .filter((cluster) => known.get(cluster.name) !== fingerprint(cluster))
    .map(({ name, cluster, environment }) => legOf(name, cluster, environment))
}

/** Names of the clusters that are no longer in it. */
export function removed(desired: DesiredState, before: DesiredState | undefined): readonly string[] {
  const names = new Set(desired.clusters.map(({ name }) => name))
  return (before?.clusters ?? []).map(({ name }) => name).filter((name) => !names.has(name))
}

function fingerprint(cluster: DesiredCluster): string {
  return canonicalJson(JSON.parse(JSON.stringify(cluster)) as Json)
}

function legOf(name: string, cluster: ClusterName, environment = ''): Leg {
  return {
    name,
    'subscription-id': cluster.subscriptionId,
    'resource-group': cluster.resourceGroup,
    'cluster-name': cluster.name,
    environment
  }
}

/** The output `clusters` of `operation: status` as legs, in its order. Throws `input-invalid` where it is none. */
export function legsOfStatus(text: string): readonly Leg[] {
  const clusters = parseArray(text)
  const legs = clusters.map((cluster, i) => {
    if (!isJsonObject(cluster)) throw invalid(`element ${String(i)} is no object`)
    const of = (property: string): string => {
      const value = asText(cluster[property])
      if (value === '') throw invalid(`element ${String(i)} has no ${property}`)
      return value
    }
    const name = of('name')
    // What GitHub refuses in the name of an artifact.
    if (/["/:<>|*?\r\n\\]/.test(name)) throw invalid(`the name “${name}” can’t be that of an artifact`)
    return legOf(name, {
      subscriptionId: of('subscription-id'),
      resourceGroup: of('resource-group'),
      name: of('cluster-name')
    })
  })
  const seen = new Set<string>()
  for (const { name } of legs) {
    if (seen.has(name.toLowerCase())) throw invalid(`the name “${name}” is there twice`)
    seen.add(name.toLowerCase())
  }
  return legs
}

function parseArray(text: string): readonly unknown[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error))
  }
  if (!Array.isArray(value)) throw invalid('it is no array')
  return value
}

function invalid(problem: string): ActionError {
  return new ActionError(
    'input-invalid',
    `The input clusters is not the JSON array that \`operation: status\` gives out: ${problem}.`,
    { fix: 'Pass the output `clusters` of a step with `operation: status` as it is.' }
  )
}
