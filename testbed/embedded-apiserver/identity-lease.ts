import { randomBytes, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'

import type { Registry } from './registry.ts'
import { leases } from './resources/leases.ts'

const namespace = 'kube-system'
const renewalIntervalMs = 10_000
const durationSeconds = 3600

/** A new one for each start: in AKS each API server has a host of its own, by whose name kube-apiserver makes its id. */
export const createApiServerId = (): string => `apiserver-${base32(randomBytes(16))}`

/**
 * The Lease by which one start of an API server makes itself known to the others, named by its id.
 * Source: pkg/controlplane/apiserver/server.go, staging/src/k8s.io/component-helpers/apimachinery/lease/controller.go
 */
export class IdentityLease {
  readonly #registry: Registry
  readonly #id: string
  readonly #holderIdentity: string
  #timer: NodeJS.Timeout | undefined

  constructor(registry: Registry, id: string) {
    this.#registry = registry
    this.#id = id
    this.#holderIdentity = `${id}_${randomUUID()}`
  }

  /** Keeps the Lease from now on. What goes wrong is tried again with the next renewal. */
  async announce(): Promise<void> {
    this.#timer = setInterval(() => void this.#renew().catch(() => undefined), renewalIntervalMs).unref()
    await this.#renew().catch(() => undefined)
  }

  /** Renews it no more. */
  abandon(): void {
    clearInterval(this.#timer)
  }

  /** As a kube-apiserver that is told to end does since Kubernetes 1.35. */
  async withdraw(): Promise<void> {
    this.abandon()
    await this.#registry.delete(this.#place, {}).catch(() => undefined)
  }

  get #place() {
    return { resource: leases, namespace, name: this.#id }
  }

  async #renew(): Promise<void> {
    const spec = {
      holderIdentity: this.#holderIdentity,
      leaseDurationSeconds: durationSeconds,
      renewTime: new Date().toISOString().replace('Z', '000Z')
    }
    if (this.#registry.has(this.#place)) {
      await this.#registry.plant(this.#place, (existing) => ({ ...existing, spec }))
    } else {
      const labels = { 'apiserver.kubernetes.io/identity': 'kube-apiserver', 'kubernetes.io/hostname': hostname() }
      await this.#registry.create(leases, namespace, { metadata: { name: this.#id, labels }, spec }, { dryRun: false })
    }
  }
}

/** RFC 4648 in lower case and without padding. */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? [])
    .map((group) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(group.padEnd(5, '0'), 2)])
    .join('')
}
