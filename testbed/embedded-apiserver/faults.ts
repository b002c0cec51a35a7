import type { KubernetesUser } from '../contract.ts'
import { administrators } from './authorization.ts'
import { keyOf, type Interference, type Place, type Registry } from './registry.ts'
import type { RequestInfo } from './request-info.ts'
import { secrets } from './resources/secrets.ts'
import type { Etcd } from './etcd.ts'
import { deniedByWebhook } from './status.ts'

/** What may go wrong with one request. */
export type Fault =
  /** An overloaded or failing server, or a balancer before it: an answer without the request having been carried out. */
  | { readonly kind: 'answer'; readonly status: 429 | 500 | 502 | 503 | 504; readonly retryAfter?: number }
  /** The connection is reset; `carriedOut` tells whether before the request was carried out or after it. */
  | { readonly kind: 'reset'; readonly carriedOut: boolean }
  /** HTTP/2: no further requests on this connection; the request itself is answered, or left unprocessed. */
  | { readonly kind: 'goaway'; readonly answered: boolean }
  /** HTTP/2: this stream is refused, unprocessed. */
  | { readonly kind: 'refused-stream' }
  /** The answer breaks off in the middle of its body. */
  | { readonly kind: 'truncated' }
  | { readonly kind: 'delay'; readonly milliseconds: number }
  /** The answer goes on for ever: with more and more bytes, or without another one. */
  | { readonly kind: 'endless'; readonly floods: boolean }
  /** Something between client and server answers in its place, whatever comes to its mind. */
  | {
      readonly kind: 'replaced'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string
    }
  /** Something else happens first: another writer, a deletion, a roll. */
  | { readonly kind: 'meanwhile'; readonly does: (request: SeenRequest) => Promise<unknown> }

export interface SeenRequest extends RequestInfo {
  readonly user: KubernetesUser
}

export interface FaultOptions {
  /** All requests that are not the administrator's, unless given. */
  readonly when?: (request: SeenRequest) => boolean
  /** How many matching requests go through first; none unless given. */
  readonly after?: number
  /** How many matching requests it hits; one unless given. */
  readonly times?: number
}

/** A fault in waiting, and how often it has struck. */
export interface InjectedFault {
  readonly struck: number
  remove(): void
}

/** One request and its answer, as they went over the wire. */
export interface Exchange {
  readonly request: SeenRequest
  readonly status: number
  readonly body: string
}

/** What tests do to the embedded control plane that nobody can ask of a real one. */
export interface Faults {
  inject(fault: Fault, options?: FaultOptions): InjectedFault
  /** An admission webhook denies every create and update in the namespace, or of the one Secret. Undone by what it returns. */
  denyByWebhook(namespace: string, name?: string): () => void
  /** No role permits these requests any more, of whomever but the administrator. Undone by what it returns. */
  forbid(when: (request: SeenRequest) => boolean): () => void
  /** Lists come in pages of so many items at most, however many are asked for: an API server may give fewer than the limit. */
  limitPages(items: number): void
  /** Leaves a stored Secret as an older version may have left it: of a type whose keys it lacks, so that no update passes. */
  makeInvalid(namespace: string, name: string): Promise<void>
  /** Puts other bytes into etcd for a Secret; one bit in their middle is flipped unless given, so that nothing decrypts them. */
  corrupt(namespace: string, name: string, bytes?: Uint8Array): void
  /** etcd forgets the past: continue tokens given out before a later write expire. */
  compact(): void
  /** Sees every answer before it is sent; ended by what it returns. */
  observe(listener: (exchange: Exchange) => void): () => void
}

interface Waiting {
  readonly fault: Fault
  readonly when: (request: SeenRequest) => boolean
  letThrough: number
  left: number
  struck: number
}

const notTheAdministrators = ({ user }: SeenRequest): boolean => !user.groups.includes(administrators)

const webhookName = 'validation.gatekeeper.sh'

export class FaultPlan implements Faults, Interference {
  readonly #etcd: Etcd
  readonly #registry: () => Registry
  readonly #waiting = new Set<Waiting>()
  readonly #denied = new Set<{ readonly namespace: string; readonly name: string | undefined }>()
  readonly #forbidden = new Set<(request: SeenRequest) => boolean>()
  readonly #listeners = new Set<(exchange: Exchange) => void>()
  #mostPerPage = Infinity

  constructor(etcd: Etcd, registry: () => Registry) {
    this.#etcd = etcd
    this.#registry = registry
  }

  inject(fault: Fault, options: FaultOptions = {}): InjectedFault {
    const { when = notTheAdministrators, after = 0, times = 1 } = options
    const waiting: Waiting = { fault, when, letThrough: after, left: times, struck: 0 }
    this.#waiting.add(waiting)
    return {
      get struck() {
        return waiting.struck
      },
      remove: () => void this.#waiting.delete(waiting)
    }
  }

  /** The faults that strike this request, in the order in which they were injected. */
  strike(request: SeenRequest): readonly Fault[] {
    if (this.#waiting.size === 0) return []
    const struck: Fault[] = []
    for (const waiting of this.#waiting) {
      if (!waiting.when(request)) continue
      if (waiting.letThrough > 0) {
        waiting.letThrough--
        continue
      }
      waiting.struck++
      waiting.left--
      if (waiting.left <= 0) this.#waiting.delete(waiting)
      struck.push(waiting.fault)
    }
    return struck
  }

  denyByWebhook(namespace: string, name?: string): () => void {
    const denied = { namespace, name }
    this.#denied.add(denied)
    return () => void this.#denied.delete(denied)
  }

  admit({ namespace, name }: Place): void {
    for (const denied of this.#denied) {
      if (denied.namespace !== namespace || (denied.name ?? name) !== name) continue
      throw deniedByWebhook(webhookName, '[secrets-need-owner] you must provide labels: {"owner"}')
    }
  }

  forbid(when: (request: SeenRequest) => boolean): () => void {
    this.#forbidden.add(when)
    return () => void this.#forbidden.delete(when)
  }

  forbids(request: SeenRequest): boolean {
    return notTheAdministrators(request) && [...this.#forbidden].some((when) => when(request))
  }

  limitPages(items: number): void {
    this.#mostPerPage = items
  }

  get mostPerPage(): number {
    return this.#mostPerPage
  }

  makeInvalid(namespace: string, name: string): Promise<void> {
    return this.#registry().plant({ resource: secrets, namespace, name }, (secret) => ({
      ...secret,
      type: 'kubernetes.io/ssh-auth'
    }))
  }

  corrupt(namespace: string, name: string, bytes?: Uint8Array): void {
    const key = keyOf({ resource: secrets, namespace, name })
    const stored = this.#etcd.get(key)
    if (stored === undefined) throw new Error(`there is no Secret ${namespace}/${name} to corrupt`)
    this.#etcd.put(key, bytes ?? withFlippedBit(stored.value), stored.modRevision)
  }

  compact(): void {
    this.#etcd.compact()
  }

  observe(listener: (exchange: Exchange) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  observed(exchange: Exchange): void {
    for (const listener of this.#listeners) listener(exchange)
  }
}

function withFlippedBit(value: Uint8Array): Uint8Array {
  const middle = value.length >>> 1
  return value.with(middle, (value[middle] ?? 0) ^ 1)
}
