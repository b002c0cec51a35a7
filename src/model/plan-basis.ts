import { createHash } from 'node:crypto'
import { canonicalJson, isJsonObject, type Json, type JsonObject } from './json.ts'

/**
 * What a plan's decisions depend on, and what it decides: its hash covers just this. No times, no eTags, no passing state of the
 * cluster; a key version that is yet to be made has no name of its own.
 */
export interface PlanBasis {
  readonly operation: string
  /** ARM id in lower case; undefined for a cluster that Azure does not know. */
  readonly cluster: string | undefined
  /** Key version in use, in lower case; undefined where KMS is off. */
  readonly keyId: string | undefined
  readonly networkAccess: string | undefined
  /** `1.34` */
  readonly kubernetesMinor: string | undefined
  /** Of `prepare`: a line for each thing as it stands; undefined for every other operation. */
  readonly resources: readonly string[] | undefined
  /** Without those that only wait or take note. */
  readonly steps: readonly JsonObject[]
  /** Codes of what the plan ends with, if it is refused. */
  readonly refusals: readonly string[]
}

/** SHA-256 in hex. */
export function hashOfBasis(basis: PlanBasis): string {
  // Undefined properties have no place in JSON.
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(basis)) as Json))
    .digest('hex')
}

/** A basis that came as JSON; undefined where the value is none. */
export function readBasis(value: unknown): PlanBasis | undefined {
  if (!isJsonObject(value)) return undefined
  const { operation, cluster, keyId, networkAccess, kubernetesMinor, resources, steps, refusals } = value
  if (typeof operation !== 'string' || !isOptionalText(cluster) || !isOptionalText(keyId)) return undefined
  if (!isOptionalText(networkAccess) || !isOptionalText(kubernetesMinor)) return undefined
  if (!Array.isArray(steps) || !Array.isArray(refusals)) return undefined
  const texts = (list: readonly Json[]): readonly string[] => list.filter((text) => typeof text === 'string')
  return {
    operation,
    cluster,
    keyId,
    networkAccess,
    kubernetesMinor,
    resources: Array.isArray(resources) ? texts(resources) : undefined,
    steps: steps.filter(isJsonObject),
    refusals: texts(refusals)
  }
}

function isOptionalText(value: Json | undefined): value is string | undefined {
  return value === undefined || typeof value === 'string'
}
