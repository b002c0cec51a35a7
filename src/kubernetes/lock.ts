import { ActionError } from '../errors.ts'
import type { Log } from '../log.ts'
import { isJsonObject, type JsonObject } from '../model/json.ts'
import { Api, jsonOf, refusalOf, textOf, type ApiOptions } from './api.ts'
import { SYSTEM_CLOCK, type Clock } from './clock.ts'
import { JSON_BODY, LABELS, namespaceMissing, OBJECT_NAME } from './own-objects.ts'

/** The lock as it is held. */
export interface Lock {
  /** Aborts with ActionError `lock-lost` once another run may hold the lock. */
  readonly lost: AbortSignal
  /** Lets others have it at once. Never throws: a lock that can't be released expires. */
  release(): Promise<void>
}

export interface LockOptions extends Pick<ApiOptions, 'endpoint' | 'clock' | 'signal'> {
  readonly namespace: string
  /** Who holds it: the run's url. */
  readonly holder: string
  /** Whole seconds after which a lock that was not renewed is free. */
  readonly leaseSeconds?: number
  readonly log: Pick<Log, 'info'>
}

const LEASE_SECONDS = 60
const EXPLANATION = 'Held by the run of the GitHub Action aks-kms-etcd-encryption that is at work on this cluster.'

/**
 * Takes the Lease `kms-etcd-encryption`, as client-go's leader election does: no clock but this machine's own is trusted, so
 * another's lock is free only when it has been seen unrenewed for its whole duration.
 * Throws ActionError `lock-held`, `lock-forbidden`, `input-invalid` when there is no such namespace, or as an Api does.
 * Source: k8s.io/client-go/tools/leaderelection
 */
export async function acquireLock(options: LockOptions): Promise<Lock> {
  const { endpoint, namespace, holder, signal, log, clock = SYSTEM_CLOCK, leaseSeconds = LEASE_SECONDS } = options
  // Connections of its own: renewing must not queue behind anything, and releasing goes on after the run was cancelled.
  const api = new Api({ endpoint, clock, connections: 1, patience: leaseSeconds * 500 })
  const leases = new Leases(api, namespace)
  try {
    let observed: { readonly version: string; readonly since: number } | undefined
    for (;;) {
      signal?.throwIfAborted()
      const lease = await leases.read()
      const spec = lease === undefined ? {} : specOf(lease)
      const other = textOf(spec['holderIdentity'])
      const version = lease === undefined ? '' : versionOf(lease)
      if (other !== '') {
        const seconds = typeof spec['leaseDurationSeconds'] === 'number' ? spec['leaseDurationSeconds'] : leaseSeconds
        if (observed !== undefined && observed.version !== version) throw held(namespace, other, textOf(spec['acquireTime']))
        if (observed === undefined) {
          observed = { version, since: clock.now() }
          log.info(`The lock is held by ${other}. Waiting up to ${seconds} s to see whether that run is alive.`)
        }
        const left = observed.since + seconds * 1000 - clock.now()
        if (left > 0) {
          await clock.sleep(Math.min(left, (seconds * 1000) / 12), signal)
          continue
        }
      }
      const taken = await leases.write(lease, claim(holder, spec, leaseSeconds, clock))
      if (taken !== undefined) return hold(leases, api, taken, leaseSeconds, clock)
    }
  } catch (error) {
    api.close()
    throw error
  }
}

/** Renews in the background until released or lost. */
function hold(leases: Leases, api: Api, taken: JsonObject, leaseSeconds: number, clock: Clock): Lock {
  const lost = new AbortController()
  const released = new AbortController()
  const claimed = specOf(taken)
  let lease = taken

  const renew = async (): Promise<void> => {
    const spec = { ...specOf(lease), renewTime: microTime(clock) }
    const renewed = await leases.write(lease, spec)
    if (renewed !== undefined) {
      lease = renewed
      return
    }
    // Somebody wrote the Lease: either it is still ours, or it was taken over.
    const present = await leases.read()
    if (present === undefined || !isSameClaim(specOf(present), claimed)) throw new TakenOver(present)
    lease = present
    await renew()
  }

  const keep = async (): Promise<void> => {
    const duration = leaseSeconds * 1000
    let renewedAt = clock.now()
    let wait = duration / 3
    for (;;) {
      await clock.sleep(wait, released.signal)
      const started = clock.now()
      try {
        await renew()
        renewedAt = started
        wait = duration / 3
      } catch (error) {
        if (released.signal.aborted) return
        if (error instanceof TakenOver) return lost.abort(lostTo(leases.namespace, error.holder))
        wait = duration / 30
      }
      if (clock.now() - renewedAt >= duration - wait) return lost.abort(unrenewed(leases.namespace, leaseSeconds))
    }
  }
  const keeping = keep().catch(() => {})

  return {
    lost: lost.signal,
    async release() {
      released.abort()
      try {
        await keeping
        if (lost.signal.aborted) return
        const spec = { ...specOf(lease), holderIdentity: '' }
        if ((await leases.write(lease, spec)) !== undefined) return
        const present = await leases.read()
        if (present !== undefined && isSameClaim(specOf(present), claimed)) {
          await leases.write(present, { ...specOf(present), holderIdentity: '' })
        }
      } catch {
        // It expires.
      } finally {
        api.close()
      }
    }
  }
}

class TakenOver extends Error {
  readonly holder: string

  constructor(lease: JsonObject | undefined) {
    super('taken over')
    this.holder = lease === undefined ? '' : textOf(specOf(lease)['holderIdentity'])
  }
}

class Leases {
  readonly namespace: string
  readonly #api: Api
  readonly #collection: string

  constructor(api: Api, namespace: string) {
    this.#api = api
    this.namespace = namespace
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
      namespace: this.namespace,
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
    if (answer.status === 404 && lease === undefined) throw namespaceMissing(this.namespace)
    if (answer.status === 409 || answer.status === 404) return undefined
    const written = answer.status < 300 ? jsonOf(answer) : undefined
    if (written === undefined) throw new ActionError('internal-error', refusalOf(doing, answer))
    return written
  }

  #doing(verb: string): string {
    return `${verb} leases.coordination.k8s.io "${OBJECT_NAME}" in namespace ${this.namespace}`
  }
}

function claim(holder: string, before: JsonObject, leaseSeconds: number, clock: Clock): JsonObject {
  const now = microTime(clock)
  const transitions = typeof before['leaseTransitions'] === 'number' ? before['leaseTransitions'] + 1 : 0
  return {
    holderIdentity: holder,
    leaseDurationSeconds: leaseSeconds,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: transitions
  }
}

/** Two jobs of one run have the same name; that they took the lock in the same millisecond too is ruled out by its version. */
function isSameClaim(a: JsonObject, b: JsonObject): boolean {
  return a['holderIdentity'] === b['holderIdentity'] && a['acquireTime'] === b['acquireTime']
}

function specOf(lease: JsonObject): JsonObject {
  return isJsonObject(lease['spec']) ? lease['spec'] : {}
}

function versionOf(lease: JsonObject): string {
  return isJsonObject(lease['metadata']) ? textOf(lease['metadata']['resourceVersion']) : ''
}

/** Kubernetes' MicroTime. */
function microTime(clock: Clock): string {
  return new Date(clock.now()).toISOString().replace('Z', '000Z')
}

function held(namespace: string, holder: string, since: string): ActionError {
  return new ActionError('lock-held', `${holder} is at work on this cluster since ${since} (Lease ${namespace}/${OBJECT_NAME}).`)
}

function lostTo(namespace: string, holder: string): ActionError {
  const who = holder === '' ? 'Somebody removed' : `${holder} took`
  return new ActionError('lock-lost', `${who} the Lease ${namespace}/${OBJECT_NAME} from this run.`)
}

function unrenewed(namespace: string, seconds: number): ActionError {
  return new ActionError('lock-lost', `The Lease ${namespace}/${OBJECT_NAME} could not be renewed for ${seconds} s.`)
}
