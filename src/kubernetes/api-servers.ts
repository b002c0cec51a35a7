import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

import { asObject, asObjects, asText } from '../model/json.ts'
import type { SecretVersion } from '../model/secrets.ts'
import { Api, jsonOf } from './api.ts'
import type { Clock } from './clock.ts'
import type { KubernetesEndpoint } from './connection.ts'
import { encryptionLines, readEncryptionMetrics, type EncryptionMetrics } from './metrics.ts'
import type { Pace } from './pace.ts'
import { emptyPatch, patchAt, pathOf, versionOf, wasOvertaken } from './reencryption.ts'
import { isRetryable, Retries } from './retry.ts'
import { TOO_LARGE, Transport, TransportError, type HttpAnswer, type HttpRequest, type Result } from './transport.ts'

export interface LookOptions {
  readonly endpoint: KubernetesEndpoint
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  /** Secrets that every API server is asked to patch, and what their versions should be. */
  readonly probes: readonly SecretVersion[]
  /** Whether somebody may have written the probes since, so that their versions are to be asked for first. */
  readonly refreshProbes: boolean
  /** False: it is known already that nothing can be read there. */
  readonly askMetrics: boolean
  /** Requests under way at once, at most. */
  readonly maxConcurrency?: number | undefined
  readonly pace?: Pace | undefined
}

/** What the API servers behind one address showed over new connections. */
export interface Look {
  /** How many led to an API server that answered. */
  readonly connections: number
  /** One of each API server that was met, the last one if it was met more than once; or why there are none. */
  readonly sightings: readonly Sighting[] | 'forbidden' | 'unreadable'
  /** Ids of the API servers whose Leases were renewed just now; undefined where Leases can't be read. */
  readonly live: ReadonlySet<string> | undefined
  /** Whether any probe was left alone by all of them; undefined where there was none to ask for. */
  readonly agreed: boolean | undefined
}

export interface Sighting {
  readonly metrics: EncryptionMetrics
  /** Milliseconds since the epoch, by the API server's clock. */
  readonly at: number
}

/** A load balancer leads each connection to one of the API servers; this many in a row miss one of three in 1 of 43 cases. */
const CONNECTIONS = 12
/** As many are opened at once. */
const WAVE = 4

/** How long one API server is asked, in milliseconds. */
const PATIENCE = 15_000

/** An API server renews its Lease every 10 s. Source: k8s.io/kubernetes/pkg/controlplane/apiserver */
const LEASE_RENEWED_WITHIN = 15_000
const LEASES: HttpRequest = {
  method: 'GET',
  path: '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?labelSelector=apiserver.kubernetes.io/identity%3Dkube-apiserver',
  headers: { accept: 'application/json' }
}
const METRICS: HttpRequest = {
  method: 'GET',
  path: '/metrics',
  headers: { accept: 'text/plain', 'accept-encoding': 'gzip' }
}

/** Largest answer of `/metrics` that is read, unpacked, in characters. */
const LARGEST_METRICS = 256 << 20

/**
 * Meets API servers over connections of their own, until every live one was met or enough connections were made. Each one is
 * asked to patch the probes, which only one that writes otherwise than the others does, and then for its metrics.
 * Rejects with the signal's reason. What does not answer is left out.
 */
export async function lookAtApiServers(request: LookOptions): Promise<Look> {
  const options = request.refreshProbes ? { ...request, probes: await versionsOf(request) } : request
  const meetings: Meeting[] = []
  let live: ReadonlySet<string> | undefined
  while (meetings.length < CONNECTIONS) {
    const length = Math.min(WAVE, options.maxConcurrency ?? WAVE)
    const wave = await Promise.all(Array.from({ length }, (_, i) => meet(options, meetings.length + i === 0)))
    meetings.push(...wave)
    live ??= wave.find((meeting) => meeting.leases !== undefined)?.leases
    const met = new Set(
      meetings.map(({ sighting }) => (typeof sighting === 'object' ? sighting.metrics.id : undefined))
    )
    if (live !== undefined && live.size > 0 && [...live].every((id) => met.has(id))) break
  }
  const answered = meetings.filter(({ answered }) => answered)
  const sightings = sightingsOf(answered)
  return {
    connections: answered.length,
    sightings,
    live: typeof sightings === 'string' || sightings.some(({ metrics }) => isHash(metrics.id)) ? live : undefined,
    agreed: request.probes.length === 0 ? undefined : agreeOn(options.probes, answered)
  }
}

/** Probes that do not answer are left out. */
async function versionsOf({ endpoint, signal, clock, pace, probes }: LookOptions): Promise<readonly SecretVersion[]> {
  const api = new Api({ endpoint, signal, clock, pace, connections: 1, patience: PATIENCE })
  const found: SecretVersion[] = []
  try {
    for (const probe of probes) {
      const resourceVersion = versionOf(await api.attempt(emptyPatch(pathOf(probe), '&dryRun=All')))
      if (resourceVersion !== undefined) found.push({ ...probe, resourceVersion })
    }
  } finally {
    api.close()
  }
  return found
}

/** What one connection came to. */
interface Meeting {
  readonly answered: boolean
  readonly probes: readonly Probed[]
  /** Whether an earlier connection in its place broke, on which something may have been written. */
  readonly retried: boolean
  readonly sighting: Sighting | 'forbidden' | 'unreadable' | undefined
  readonly leases: ReadonlySet<string> | undefined
}

const NOBODY: Meeting = { answered: false, probes: [], retried: true, sighting: undefined, leases: undefined }

async function meet(options: LookOptions, askLeases: boolean): Promise<Meeting> {
  const { endpoint, signal, clock } = options
  const retries = new Retries(clock, PATIENCE)
  for (let retried = false; ; retried = true) {
    const transport = new Transport({ endpoint, signal, timeout: PATIENCE })
    try {
      const { meeting, failure } = await interview(transport, options, askLeases)
      // On another connection it may have been another API server.
      const broken = transport.opened > 1 ? new TransportError('ECONNRESET') : failure
      if (broken === undefined) return { ...meeting, retried }
      if (!(broken instanceof TransportError) && broken.status === 401) endpoint.rejectCredential()
      const delay = retries.next(broken)
      if (delay === undefined) return transport.opened > 1 ? NOBODY : { ...meeting, retried: true }
      await clock.sleep(delay, signal)
    } finally {
      transport.close()
    }
  }
}

/** What came of it, and for which failure it is worth to try all of it again. */
async function interview(
  transport: Transport,
  { probes, askMetrics, pace, signal }: LookOptions,
  askLeases: boolean
): Promise<{ readonly meeting: Meeting; readonly failure: Result | undefined }> {
  const answers: Result[] = []
  const ask = async (request: HttpRequest): Promise<Result> => {
    await pace?.turn(signal)
    const answer = await transport.request(request)
    answers.push(answer)
    return answer
  }
  const found: Probed[] = []
  for (const probe of probes) {
    found.push(readProbe(probe, await ask(patchAt(pathOf(probe), probe.resourceVersion))))
  }
  const sighting = askMetrics ? await readSighting(await ask(METRICS)) : 'unreadable'
  const leases = askLeases ? readLeases(await ask(LEASES)) : undefined
  return {
    meeting: { answered: !answers.every(mayPass), probes: found, retried: false, sighting, leases },
    failure: answers.find(mayPass)
  }
}

/**
 * How an API server left a probe. `alone`: as it was. `written`: it wrote it otherwise. `overtaken`: somebody else had written
 * it before. `unknown`: it could not be asked for.
 */
type Probed =
  { readonly kind: 'alone' | 'written'; readonly resourceVersion: string } | { readonly kind: 'overtaken' | 'unknown' }

function readProbe(probe: SecretVersion, answer: Result): Probed {
  const resourceVersion = versionOf(answer)
  if (resourceVersion === undefined) return { kind: wasOvertaken(answer) ? 'overtaken' : 'unknown' }
  return { kind: resourceVersion === probe.resourceVersion ? 'alone' : 'written', resourceVersion }
}

/** A 500 may be of the one thing that was asked for, and then it stays. */
function mayPass(answer: Result): boolean {
  if (answer instanceof TransportError) return answer.code !== TOO_LARGE
  return isRetryable(answer.status) && answer.status !== 500
}

async function readSighting(answer: Result): Promise<Sighting | 'forbidden' | 'unreadable'> {
  if (answer instanceof TransportError) return 'unreadable'
  if (answer.status === 403) return 'forbidden'
  const metrics = answer.status === 200 ? readEncryptionMetrics(await unpack(answer)) : undefined
  if (metrics === undefined) return 'unreadable'
  return { metrics, at: timeOf(answer) }
}

/** Empty where it is not what it says it is. */
async function unpack({ headers, body }: HttpAnswer): Promise<string> {
  const packed = headers['content-encoding'] === 'gzip'
  const text = packed ? Readable.from([body]).pipe(createGunzip()) : Readable.from([body], { objectMode: false })
  try {
    return await encryptionLines(text.setEncoding('latin1') as AsyncIterable<string>, LARGEST_METRICS)
  } catch {
    return ''
  } finally {
    text.destroy()
  }
}

/** The Leases by which API servers make themselves known to one another, as the ids that their metrics carry. */
function readLeases(answer: Result): ReadonlySet<string> | undefined {
  if (answer instanceof TransportError || answer.status !== 200) return undefined
  const items = jsonOf(answer)?.['items']
  if (!Array.isArray(items)) return undefined
  const now = timeOf(answer)
  const fresh = asObjects(items).filter((lease) => {
    const renewed = Date.parse(asText(asObject(lease['spec'])['renewTime']))
    return now - renewed < LEASE_RENEWED_WITHIN
  })
  return new Set(fresh.map((lease) => idHashOf(asText(asObject(lease['metadata'])['name']))))
}

/** Other ids say nothing of Leases. */
function isHash(id: string): boolean {
  return id.startsWith('sha256:')
}

function idHashOf(apiServerId: string): string {
  return `sha256:${createHash('sha256').update(apiServerId).digest('hex')}`
}

/** By the clock of the machine that answered. */
function timeOf({ headers }: HttpAnswer): number {
  const time = Date.parse(headers.date ?? '')
  return Number.isNaN(time) ? Date.now() : time
}

function sightingsOf(meetings: readonly Meeting[]): Look['sightings'] {
  const byId = new Map<string, Sighting>()
  let refusal: 'forbidden' | 'unreadable' = 'unreadable'
  for (const { sighting } of meetings) {
    if (typeof sighting === 'object') byId.set(sighting.metrics.id, sighting)
    else if (sighting !== undefined) refusal = sighting
  }
  return byId.size === 0 ? refusal : [...byId.values()]
}

/**
 * One API server that writes a probe otherwise than the others left it is enough. What somebody else has written says nothing,
 * unless it may have been an API server on a connection that broke.
 */
function agreeOn(probes: readonly SecretVersion[], meetings: readonly Meeting[]): boolean | undefined {
  const found = meetings.flatMap((meeting) => meeting.probes)
  if (found.every(({ kind }) => kind === 'unknown')) return undefined
  if (found.some(({ kind }) => kind === 'written')) return false
  if (found.some(({ kind }) => kind === 'overtaken') && meetings.some(({ retried }) => retried)) return false
  return probes.some((_, i) => meetings.every((meeting) => meeting.probes[i]?.kind === 'alone'))
}
