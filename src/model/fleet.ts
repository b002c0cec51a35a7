import type { RunResult } from './report.ts'
import { asObject, asObjects, asText, isJsonObject, type JsonObject } from './json.ts'

/** `unreadable`: its report is no JSON. `missing`: it should have reported, and did not. */
export type LegResult = RunResult | 'unreadable' | 'missing'

/** The run on one cluster of a fleet, as far as its report tells. Times are in milliseconds since the epoch. */
export interface Leg {
  readonly name: string
  /** ARM id; empty where it is not known. */
  readonly cluster: string
  readonly operation: string
  readonly result: LegResult
  readonly sentence: string
  /** What ended it; undefined where nothing did. */
  readonly problem: { readonly code: string; readonly fix: string } | undefined
  readonly changed: boolean
  readonly proved: boolean
  /** Over all its proofs. */
  readonly reEncrypted: number
  /** Url of the workflow run. */
  readonly run: string | undefined
  readonly startedAt: number
  /** Of the key version in use at the start, and at the end. */
  readonly keyCreatedBefore: number | undefined
  readonly keyCreated: number | undefined
  readonly rotationDue: number | undefined
}

export interface FleetCluster extends Leg {
  /** Not green, or not rotated long after it was due. */
  readonly failed: boolean
  readonly keyAge: number | undefined
  /** By how much the rotation is overdue, in milliseconds, when that is more than a day. */
  readonly overdue: number | undefined
  /** By how much the rotation of this run came too late, in milliseconds, when that is more than a day: earlier runs were dropped, or failed. */
  readonly late: number | undefined
}

export interface Fleet {
  readonly at: number
  /** Those that failed first, each part by name. */
  readonly clusters: readonly FleetCluster[]
}

const DAY = 86_400_000

/** A leg by the text of its report; undefined where the text is JSON of something else. `folder` names what has no other name. */
export function readLeg(text: string, folder: string): Leg | undefined {
  let report: unknown
  try {
    report = JSON.parse(text)
  } catch {
    return { ...emptyLeg(folder, 'unreadable'), sentence: 'Its report can’t be read.' }
  }
  const result = isJsonObject(report) ? RESULTS.find((word) => word === report['result']) : undefined
  if (!isJsonObject(report) || report['schemaVersion'] !== 1 || result === undefined) return undefined
  const cluster = asText(report['cluster'])
  const error = asObject(report['error'])
  return {
    name: asText(report['name']) || folder || cluster.slice(cluster.lastIndexOf('/') + 1),
    cluster,
    operation: asText(report['operation']),
    result,
    sentence: asText(report['sentence']),
    problem: report['error'] === undefined ? undefined : { code: asText(error['code']), fix: asText(error['fix']) },
    changed: report['changed'] === true,
    proved: report['proved'] === true,
    reEncrypted: asObjects(report['proofs']).reduce((sum, { counts }) => sum + countOf(asObject(counts)), 0),
    run: /^https?:\/\/[^\s()<>]+$/.exec(asText(report['run']))?.[0],
    startedAt: timeOf(report['startedAt']) ?? 0,
    keyCreatedBefore: keyCreated(report['before']),
    keyCreated: keyCreated(report['after']),
    rotationDue: timeOf(report['rotationDueAt'])
  }
}

const RESULTS: readonly RunResult[] = ['done', 'planned', 'refused', 'failed', 'cancelled']

function countOf({ reEncrypted }: JsonObject): number {
  return typeof reEncrypted === 'number' ? reEncrypted : 0
}

function keyCreated(snapshot: unknown): number | undefined {
  return timeOf(asObject(asObject(snapshot)['keyVersion'])['createdAt'])
}

function timeOf(value: unknown): number | undefined {
  const time = Date.parse(asText(value))
  return Number.isNaN(time) ? undefined : time
}

function emptyLeg(name: string, result: LegResult): Leg {
  return {
    name,
    cluster: '',
    operation: '',
    result,
    sentence: '',
    problem: undefined,
    changed: false,
    proved: false,
    reEncrypted: 0,
    run: undefined,
    startedAt: 0,
    keyCreatedBefore: undefined,
    keyCreated: undefined,
    rotationDue: undefined
  }
}

/**
 * All legs together. `expected`: names of those that should have reported; undefined: whoever did. `maxKeyAge`, in milliseconds, is for
 * legs whose report does not say when they are due. Of several reports of one name the latest counts.
 */
export function assessFleet(
  legs: readonly Leg[],
  expected: readonly string[] | undefined,
  { maxKeyAge, now }: { readonly maxKeyAge: number | undefined; readonly now: number }
): Fleet {
  const byName = new Map<string, Leg>()
  for (const leg of legs) if ((byName.get(leg.name)?.startedAt ?? -1) < leg.startedAt) byName.set(leg.name, leg)
  const missing = (expected ?? [])
    .filter((name) => !byName.has(name))
    .map((name) => ({ ...emptyLeg(name, 'missing'), sentence: 'It never reported.' }))
  const clusters = [...byName.values(), ...missing].map((leg) => assessLeg(leg, maxKeyAge, now))
  clusters.sort((a, b) => Number(b.failed) - Number(a.failed) || a.name.localeCompare(b.name, 'en', { numeric: true }))
  return { at: now, clusters }
}

function assessLeg(leg: Leg, maxKeyAge: number | undefined, now: number): FleetCluster {
  const { keyCreated, keyCreatedBefore, startedAt, result, changed } = leg
  const due =
    leg.rotationDue ?? (keyCreated === undefined || maxKeyAge === undefined ? undefined : keyCreated + maxKeyAge)
  const age = due === undefined || keyCreated === undefined ? undefined : due - keyCreated
  const dueBefore = age === undefined || keyCreatedBefore === undefined ? undefined : keyCreatedBefore + age
  const overdue = moreThanADay(due, now)
  return {
    ...leg,
    rotationDue: due,
    failed: (result !== 'done' && result !== 'planned') || overdue !== undefined,
    keyAge: keyCreated === undefined ? undefined : now - keyCreated,
    overdue,
    late: changed && overdue === undefined ? moreThanADay(dueBefore, startedAt) : undefined
  }
}

function moreThanADay(due: number | undefined, at: number): number | undefined {
  return due !== undefined && at - due > DAY ? at - due : undefined
}

export function failedOf({ clusters }: Fleet): readonly FleetCluster[] {
  return clusters.filter(({ failed }) => failed)
}
