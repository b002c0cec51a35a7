import { ActionError } from '../errors.ts'
import type { Log } from '../log.ts'
import { asObject, asText, type JsonObject } from '../model/json.ts'
import { Api, jsonOf, refusalOf } from './api.ts'
import { SYSTEM_CLOCK } from './clock.ts'
import type { KubernetesEndpoint } from './connection.ts'
import { JSON_BODY, LABELS, namespaceMissing, OBJECT_NAME } from './own-objects.ts'

/** The lock as it is held. */
export interface Lock {
  /** Aborts with ActionError `lock-lost` before another run may hold the lock. */
  readonly lost: AbortSignal
  /** Lets others have it at once. Never throws: a lock that can't be released expires. */
  release(): Promise<void>
}

export interface LockOptions {
  readonly endpoint: KubernetesEndpoint
  readonly namespace: string
  /** Who holds it: the run's url. */
  readonly holder: string
  readonly log: Pick<Log, 'info'>
  /** Ends the taking of the lock; once taken it is kept until its release. */
  readonly signal?: AbortSignal | undefined
  /** Whole seconds after which a lock that was not renewed is free. */
  readonly leaseSeconds?: number
}

const LEASE_SECONDS = 60
/** A cancelled job has 7.5 s before its runner grows impatient. */
const RELEASE_TIMEOUT = 5_000
const EXPLANATION = 'Held by the run of the GitHub Action aks-kms-etcd-encryption that is at work on this cluster.'

/**
 * Takes the Lease `kms-etcd-encryption`, as client-go's leader election does: no clock but this machine's own is trusted, so
 * another's lock is free only when it has been seen unrenewed for its whole duration.
 * Throws ActionError `lock-held`, `lock-forbidden`, `input-invalid` when there is no such namespace, or as an Api does.
 * Source: k8s.io/client-go/tools/leaderelection
 */
export async function acquireLock(options: LockOptions): Promise<Lock> {
  const { namespace, holder, log, signal, leaseSeconds = LEASE_SECONDS } = options
  const taken = await withLeases(options, signal, async (leases) => {
    let observed: { readonly version: string; readonly since: number } | undefined
    for (;;) {
      const lease = await leases.read()
      const spec = specOf(lease)
      const other = asText(spec['holderIdentity'])
      if (other !== '') {
        const version = versionOf(lease)
        const seconds = typeof spec['leaseDurationSeconds'] === 'number' ? spec['leaseDurationSeconds'] : leaseSeconds
        if (observed === undefined) {
          log.info(`The lock is held by ${other}. Waiting up to ${seconds} s to see whether that run is alive.`)
          observed = { version, since: Date.now() }
        }
        if (observed.version !== version) throw held(namespace, other, asText(spec['acquireTime']))
        const left = observed.since + seconds * 1000 - Date.now()
        if (left > 0) {
          await SYSTEM_CLOCK.sleep(Math.min(left, (seconds * 1000) / 12), signal)
          continue
        }
      }
      const written = await leases.write(lease, claim(holder, spec, leaseSeconds))
      if (written !== undefined) return written
    }
  })
  return keep(taken, leaseSeconds * 1000, options)
}

/** Renews in the background until released or lost. */
function keep(taken: JsonObject, duration: number, options: LockOptions): Lock {
  const { namespace } = options
  const lost = new AbortController()
  const released = new AbortController()
  let lease = taken

  /** Writes the Lease as long as it is ours, whatever else of it somebody changed. */
  const write = async (leases: Leases, change: JsonObject): Promise<void> => {
    for (;;) {
      const written = await leases.write(lease, { ...specOf(lease), ...change })
      if (written !== undefined) {
        lease = written
        return
      }
      const present = await leases.read()
      if (present === undefined || !isSameClaim(present, taken))
        throw new TakenOver(asText(specOf(present)['holderIdentity']))
      lease = present
    }
  }

  const renewForever = async (): Promise<void> => {
    const pause = duration / 30
    let deadline = deadlineFrom(Date.now(), duration)
    let wait = duration / 3
    for (;;) {
      await SYSTEM_CLOCK.sleep(wait, released.signal)
      const started = Date.now()
      const signal = AbortSignal.any([released.signal, AbortSignal.timeout(Math.max(0, deadline - started))])
      try {
        await withLeases(options, signal, (leases) => write(leases, { renewTime: microTime() }))
        deadline = deadlineFrom(started, duration)
        wait = duration / 3
      } catch (error) {
        if (error instanceof TakenOver || Date.now() + pause >= deadline) throw error
        wait = pause
      }
    }
  }
  const renewing = renewForever().catch((error: unknown) => {
    if (!released.signal.aborted) lost.abort(lossOf(namespace, duration, error))
  })

  return {
    lost: lost.signal,
    async release() {
      if (released.signal.aborted) return
      released.abort()
      await renewing
      if (lost.signal.aborted) return
      const signal = AbortSignal.timeout(RELEASE_TIMEOUT)
      await withLeases(options, signal, (leases) => write(leases, { holderIdentity: '' })).catch(() => {})
    }
  }
}

/** Work ends somewhat before others may begin theirs. */
function deadlineFrom(renewed: number, duration: number): number {
  return renewed + Math.floor((duration * 5) / 6)
}

/**
 * New connections each time: one that has idled may be dead without anybody knowing, and would be found so too late. None waits
 * behind the run's other requests, or ends with them.
 */
async function withLeases<T>(
  { endpoint, namespace }: LockOptions,
  signal: AbortSignal | undefined,
  body: (leases: Leases) => Promise<T>
): Promise<T> {
  const api = new Api({ endpoint, signal, connections: 1 })
  try {
    return await body(new Leases(api, namespace))
  } finally {
    api.close()
  }
}

class TakenOver extends Error {
  readonly holder: string

  constructor(holder: string) {
    super('taken over')
    this.holder = holder
  }
}

class Leases {
  readonly #api: Api
  readonly #namespace: string
  readonly #collection: string

  constructor(api: Api, namespace: string) {
    this.#api = api
    this.#namespace = namespace
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`
  }

  async read(): Promise<JsonObject | undefined> {
    const doing = this.#doing('get')
    const answer = await this.#api.request(
      { method: 'GET', path: `${this.#collection}/${OBJECT_NAME}`, headers: { accept: 'application/json' } },
      { doing, forbidden: 'lock-forbidden' }
    )
    if (answer.status === 404) return undefined
    const lease = answer.status === 200 ? jsonOf(answer) : undefined
    if (lease === undefined) throw new ActionError('internal-error', refusalOf(doing, answer))
    return lease
  }

  /** The Lease as written; undefined when it was no longer as given. */
  async write(lease: JsonObject | undefined, spec: JsonObject): Promise<JsonObject | undefined> {
    const doing = this.#doing(lease === undefined ? 'create' : 'update')
    const metadata = lease?.['metadata'] ?? {
      name: OBJECT_NAME,
      namespace: this.#namespace,
      labels: LABELS,
      annotations: { 'kubernetes.io/description': EXPLANATION }
    }
    const body = JSON.stringify({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec })
    const answer = await this.#api.request(
      lease === undefined
        ? { method: 'POST', path: this.#collection, headers: JSON_BODY, body }
        : { method: 'PUT', path: `${this.#collection}/${OBJECT_NAME}`, headers: JSON_BODY, body },
      { doing, forbidden: 'lock-forbidden' }
    )
    if (answer.status === 404 && lease === undefined) throw namespaceMissing(this.#namespace)
    if (answer.status === 409 || answer.status === 404) return undefined
    const written = answer.status < 300 ? jsonOf(answer) : undefined
    if (written === undefined) throw new ActionError('internal-error', refusalOf(doing, answer))
    return written
  }

  #doing(verb: string): string {
    return `${verb} leases.coordination.k8s.io "${OBJECT_NAME}" in namespace ${this.#namespace}`
  }
}

function claim(holder: string, before: JsonObject, leaseSeconds: number): JsonObject {
  const now = microTime()
  const transitions = typeof before['leaseTransitions'] === 'number' ? before['leaseTransitions'] + 1 : 0
  return {
    holderIdentity: holder,
    leaseDurationSeconds: leaseSeconds,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: transitions
  }
}

/** Two jobs of one run have the same name, but did not take the lock at the same time. */
function isSameClaim(a: JsonObject, b: JsonObject): boolean {
  return ['holderIdentity', 'acquireTime'].every((name) => specOf(a)[name] === specOf(b)[name])
}

function specOf(lease: JsonObject | undefined): JsonObject {
  return asObject(lease?.['spec'])
}

function versionOf(lease: JsonObject | undefined): string {
  return asText(asObject(lease?.['metadata'])['resourceVersion'])
}

/** Kubernetes' MicroTime. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z')
}

function held(namespace: string, holder: string, since: string): ActionError {
  return new ActionError(
    'lock-held',
    `${holder} is at work on this cluster since ${since} (Lease ${namespace}/${OBJECT_NAME}).`
  )
}

function lossOf(namespace: string, duration: number, error: unknown): ActionError {
  const name = `the Lease ${namespace}/${OBJECT_NAME}`
  if (!(error instanceof TakenOver)) {
    const message = `This run could not renew ${name} in time; it expires after ${duration / 1000} s.`
    return new ActionError('lock-lost', message, { cause: error })
  }
  const who = error.holder === '' ? 'Somebody removed' : `${error.holder} took`
  return new ActionError('lock-lost', `${who} ${name} from this run.`)
}
