import { createHash } from 'node:crypto'

import { expect } from '@jest/globals'

import { proveSecrets, type ProofOptions } from '../../src/kubernetes/proof.ts'
import type { Evidence } from '../../src/model/api-servers.ts'
import type { Proof } from '../../src/model/secrets.ts'
import type { EncryptionConfiguration, SeedSecret } from '../../testbed/contract.ts'
import type { InjectedFault, SeenRequest } from '../../testbed/embedded-apiserver/faults.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { compareContents } from '../../testbed/seed.ts'
import {
  FIRST_KEY_ID,
  RUNNER,
  SECOND_KEY,
  SECOND_KEY_ID,
  secretsOf,
  startEmbeddedCluster,
  type EmbeddedCluster
} from '../fixtures/embedded-cluster.ts'
import { HastyClock } from '../fixtures/hasty-clock.ts'

const SECRETS = secretsOf({ one: 5, two: 2, three: 1 })

/** The namespaces, and the Secrets of the largest one, come in two pages. */
const PAGE = 4

/** The two keys take turns, so that each run finds every Secret under the other one. */
const KEYS = [
  { keyId: FIRST_KEY_ID, encryption: withWriter(0) },
  { keyId: SECOND_KEY_ID, encryption: withWriter(1) }
] as const

function withWriter(slot: number): EncryptionConfiguration {
  const isWriter = (provider: (typeof SECOND_KEY)[number]) =>
    provider.kind === 'kms' && provider.name.endsWith(String(slot))
  return [...SECOND_KEY.filter(isWriter), ...SECOND_KEY.filter((provider) => !isWriter(provider))]
}

/** What a fault is given to work with. */
export interface Scene {
  readonly controlPlane: EmbeddedControlPlane
  /** What is to be found in the end, by `namespace/name`. Whoever changes something in the cluster changes it here too. */
  readonly expected: Map<string, SeedSecret>
  readonly newKey: EncryptionConfiguration
  /** As before the change: the new key is not known yet. */
  readonly before: EncryptionConfiguration
  /** The new key is known, and written under is the old one. */
  readonly oldKey: EncryptionConfiguration
}

/** Arranges for something to go wrong at the request that comes after so many. */
export type Arrange = (position: number, scene: Scene) => InjectedFault | Promise<InjectedFault>

/** What a proof came to, and what it did. */
export interface Run {
  readonly proof: Proof
  /** In the order of their coming. */
  readonly requests: readonly SeenRequest[]
  /** For each pass that was completed the Secrets whose patch was answered in it. */
  readonly patched: readonly ReadonlySet<string>[]
}

/** Of requests that come in an order, those that are struck: from the first one unless given, up to but without `to`. */
interface Strikes {
  readonly from?: number
  readonly to: number
  /** Whether Secrets have to be put back after each run. */
  readonly changesSecrets?: boolean
  /** What the proof is to rest on. */
  readonly basis?: Evidence['basis']
}

/** A small cluster, of which a proof after a change of key is made again and again. */
export class Everywhere {
  readonly controlPlane: EmbeddedControlPlane
  readonly #cluster: EmbeddedCluster
  #turn = 0
  #change = { beganAt: 0, endedAt: 0 }

  private constructor(cluster: EmbeddedCluster) {
    this.#cluster = cluster
    this.controlPlane = cluster.controlPlane
    this.controlPlane.faults.limitPages(PAGE)
  }

  static async start(): Promise<Everywhere> {
    return new Everywhere(await startEmbeddedCluster(SECRETS, KEYS[0].encryption))
  }

  stop(): Promise<void> {
    return this.#cluster.stop()
  }

  get #keys() {
    return this.#turn % 2 === 0 ? { present: KEYS[0], other: KEYS[1] } : { present: KEYS[1], other: KEYS[0] }
  }

  async changeKey(): Promise<Scene> {
    this.#turn++
    const { present, other } = this.#keys
    const beganAt = Date.now()
    await this.controlPlane.roll(present.encryption)
    this.#change = { beganAt, endedAt: Date.now() }
    return {
      controlPlane: this.controlPlane,
      expected: new Map(SECRETS.map((secret) => [nameOf(secret), secret])),
      newKey: present.encryption,
      before: other.encryption.toSpliced(1, 1),
      oldKey: other.encryption
    }
  }

  async prove(options: Partial<ProofOptions> = {}): Promise<Run> {
    const { faults } = this.controlPlane
    const requests: SeenRequest[] = []
    const patched: Set<string>[] = []
    let inThisPass = new Set<string>()
    const noticing = faults.inject(
      { kind: 'delay', milliseconds: 0 },
      {
        // Asked of every request, also of one that another fault ends.
        when: (request) => {
          if (request.user.username === RUNNER) requests.push(request)
          return false
        }
      }
    )
    const stopObserving = faults.observe(({ request, status }) => {
      if (isPatch(request) && status === 200 && !request.query.has('dryRun')) inThisPass.add(nameOf(request))
    })
    try {
      const proof = await proveSecrets({
        endpoint: this.#cluster.endpoint,
        writeKey: { kind: 'key', keyId: this.#keys.present.keyId },
        keyChange: this.#change,
        clock: new HastyClock(),
        onProgress: ({ passEnded }) => {
          if (!passEnded) return
          patched.push(inThisPass)
          inThisPass = new Set()
        },
        ...options
      })
      return { proof, requests, patched }
    } finally {
      stopObserving()
      noticing.remove()
    }
  }

  /** A proof in which nothing goes wrong. */
  async proveUndisturbed(): Promise<Run> {
    const scene = await this.changeKey()
    const run = await this.prove()
    expect(await this.problemsOf(run, scene)).toEqual([])
    expect(run.proof.passes.map(({ counts }) => counts.reEncrypted)).toEqual([SECRETS.length, 0])
    // Each kind of request is there: the Leases and metrics before and after, both lists and their second pages, patches and probes.
    const kinds = new Set(run.requests.map(({ verb, path, query }) => kindOf(verb, path, query)))
    expect([...kinds].sort()).toEqual([
      'Leases',
      'Secrets of a namespace',
      'Secrets of a namespace, page 2',
      'estimate',
      'metrics',
      'namespaces',
      'namespaces, page 2',
      'patch'
    ])
    return run
  }

  /** One run for each position. Every Secret that nobody else touched must end as if nothing had happened. */
  async strikeEverywhere(
    { from = 0, to, changesSecrets = false, basis = 'metrics' }: Strikes,
    arrange: Arrange
  ): Promise<void> {
    const problems: string[] = []
    for (let position = from; position < to; position++) {
      const scene = await this.changeKey()
      const fault = await arrange(position, scene)
      const run = await this.prove()
      fault.remove()
      const found = fault.struck === 0 ? ['nothing struck it'] : await this.problemsOf(run, scene, basis)
      const { verb, path } = run.requests[position] ?? {}
      problems.push(...found.map((problem) => `request ${position} of ${to} (${verb} ${path}): ${problem}`))
      if (changesSecrets) await this.#restore()
    }
    expect(problems).toEqual([])
  }

  async problemsOf(
    { proof, patched }: Run,
    { expected, newKey }: Scene,
    basis: Evidence['basis'] = 'metrics'
  ): Promise<readonly string[]> {
    const problems: string[] = []
    const { verdict, brokenOff, passes, evidence } = proof
    if (brokenOff !== undefined) problems.push(`broken off: ${String(brokenOff.error)}`)
    else if (verdict !== 'proved') problems.push(`the verdict is ${verdict}`)
    if (evidence.basis !== basis) problems.push(`the evidence is by ${evidence.basis}: ${evidence.reason ?? ''}`)

    // Those that were there from the beginning to the end, as they were.
    const untouched = SECRETS.filter((secret) => expected.get(nameOf(secret)) === secret)
    for (const [index, { complete, counts }] of passes.entries()) {
      const { total, reEncrypted, alreadyCurrent, gone, failed } = counts
      if (!complete) problems.push(`pass ${index + 1} is not complete`)
      if (total !== reEncrypted + alreadyCurrent + gone + failed) problems.push(`pass ${index + 1} does not add up`)
      if (failed > 0) problems.push(`${failed} failed in pass ${index + 1}`)
      const lost = untouched.filter((secret) => patched[index]?.has(nameOf(secret)) !== true)
      if (lost.length > 0) problems.push(`not patched in pass ${index + 1}: ${lost.map(nameOf).join(', ')}`)
    }
    if (untouched.length === SECRETS.length && expected.size === SECRETS.length) {
      const totals = new Set(passes.map(({ counts }) => counts.total))
      if (totals.size !== 1 || !totals.has(SECRETS.length)) problems.push(`the totals are ${[...totals].join(', ')}`)
      const gone = passes.reduce((sum, { counts }) => sum + counts.gone, 0)
      if (gone > 0) problems.push(`${gone} are said to be gone`)
    }

    const [writer] = newKey
    const keyIdHash = writer?.kind === 'kms' ? createHash('sha256').update(writer.keyId).digest('hex') : undefined
    const stored = await this.controlPlane.storedSecrets()
    for (const secret of stored) {
      if (secret.keyIdHash !== keyIdHash) problems.push(`${nameOf(secret)} lies under another key`)
      if (!expected.has(nameOf(secret))) problems.push(`${nameOf(secret)} ought not to be there`)
    }
    return [...problems, ...(await compareContents(this.controlPlane, [...expected.values()]))]
  }

  /** Everything as in the beginning, but for the key. */
  async #restore(): Promise<void> {
    const { controlPlane } = this
    const stored = await controlPlane.storedSecrets()
    const changed = new Set(
      (await compareContents(controlPlane, SECRETS)).map((difference) => difference.split(':')[0])
    )
    const originals = new Set(SECRETS.map(nameOf))
    for (const secret of stored) {
      if (!originals.has(nameOf(secret))) {
        await controlPlane.request('DELETE', `/api/v1/namespaces/${secret.namespace}`)
      } else if (changed.has(nameOf(secret))) await controlPlane.request('DELETE', pathOf(secret))
    }
    await controlPlane.seed(SECRETS.filter((secret) => changed.has(nameOf(secret))))
  }
}

export const nameOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `${namespace}/${name}`

export const pathOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `/api/v1/namespaces/${namespace}/secrets/${name}`

export const isMetrics = ({ path }: SeenRequest): boolean => path === '/metrics'
export const isNamespaces = ({ path }: SeenRequest): boolean => path === '/api/v1/namespaces'
export const isPatch = ({ verb, plural }: SeenRequest): boolean => verb === 'patch' && plural === 'secrets'

function kindOf(verb: string, path: string, query: URLSearchParams): string {
  if (verb === 'patch') return 'patch'
  if (path === '/metrics') return 'metrics'
  if (path.endsWith('/leases')) return 'Leases'
  if (path === '/api/v1/secrets') return 'estimate'
  const kind = path === '/api/v1/namespaces' ? 'namespaces' : 'Secrets of a namespace'
  return query.has('continue') ? `${kind}, page 2` : kind
}

/** The Secret that a request is about, or one of its namespace, or any. */
export function secretNear({ namespace, name, plural }: SeenRequest, expected: Scene['expected']): SeedSecret {
  const secrets = [...expected.values()]
  const near =
    secrets.find((secret) => plural === 'secrets' && secret.namespace === namespace && secret.name === name) ??
    secrets.find((secret) => secret.namespace === namespace) ??
    secrets[0]
  if (near === undefined) throw new Error('there is no Secret left')
  return near
}
