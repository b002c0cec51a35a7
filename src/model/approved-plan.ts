import { isJsonObject, type Json } from './json.ts'
import { hashOfBasis, readBasis, type PlanBasis } from './plan-basis.ts'
import type { Plan } from './report.ts'

/** A plan that somebody approved, as it can be kept and shown. */
export interface ApprovedPlan {
  readonly hash: string
  /** Where it was approved; undefined where only its hash was given. */
  readonly url: string | undefined
  /** Undefined where only its hash was given. */
  readonly content: PlanContent | undefined
}

/** What a plan says, for people (`titles`) and for comparison. */
export interface PlanContent {
  readonly basis: PlanBasis
  /** One line for each step of the basis. */
  readonly titles: readonly string[]
}

/** Which plan a comment is about: it begins with this. Not shown. */
export function planMarker(operation: string, clusterId: string): string {
  return `<!-- kms-etcd-encryption:plan operation=${operation} cluster=${encodeURI(clusterId.toLowerCase())} -->`
}

const PREFIX = '<!-- kms-etcd-encryption:plan-data '
const SUFFIX = ' -->'

/** The plan as a line of a comment that is not shown. */
export function embedPlan({ hash, basis, steps }: Plan): string {
  const titles = steps.filter(({ kind }) => isLasting(kind)).map(({ title }) => title)
  const data = JSON.stringify({ version: 1, hash, basis, titles })
  return `${PREFIX}${Buffer.from(data).toString('base64')}${SUFFIX}`
}

/** The plan in a comment; undefined where there is none, or one that does not add up. */
export function extractPlan(comment: string, url: string): ApprovedPlan | undefined {
  const line = comment.split(/\r?\n/).find((text) => text.startsWith(PREFIX) && text.endsWith(SUFFIX))
  if (line === undefined) return undefined
  const data = parse(Buffer.from(line.slice(PREFIX.length, -SUFFIX.length), 'base64').toString())
  if (!isJsonObject(data) || data['version'] !== 1) return undefined
  const { hash, titles } = data
  const basis = readBasis(data['basis'])
  if (basis === undefined || hash !== hashOfBasis(basis) || !Array.isArray(titles)) return undefined
  const texts: readonly Json[] = titles
  return { hash, url, content: { basis, titles: texts.filter((title) => typeof title === 'string') } }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Steps that only wait or take note come and go with the state of things. */
export function isLasting(kind: string): boolean {
  return kind !== 'record-goal' && !kind.startsWith('wait-for-')
}
