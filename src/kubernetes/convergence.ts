import type { Log } from '../log.ts'
import type { ApiServer, Evidence, KeyChange, KeyUse, WriteKey } from '../model/api-servers.ts'
import { keyIdHashOf } from '../model/key-id.ts'
import type { SecretVersion } from '../model/secrets.ts'
import { lookAtApiServers, type Look, type Sighting } from './api-servers.ts'
import type { Clock } from './clock.ts'
import type { KubernetesEndpoint } from './connection.ts'
import type { MeteredKey } from './metrics.ts'
import type { Pace } from './pace.ts'

export interface ConvergenceOptions {
  readonly endpoint: KubernetesEndpoint
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly maxConcurrency?: number | undefined
  readonly pace?: Pace | undefined
  readonly log?: Log | undefined
  readonly writeKey: WriteKey
  readonly keyChange?: KeyChange | undefined
  /** How long API servers that do not write under the key are waited for, in milliseconds. */
  readonly behindMs?: number
  /** Where their metrics can't be read: how long after a change of key they may still write under the one before. */
  readonly settleMs?: number
}

/** AKS restarts its API servers one by one before a change of key ends; what has not come by then may never come. */
const BEHIND_MS = 10 * 60_000

/**
 * A KMS v2 key may be written under for 3 minutes after the plugin has named another, which is asked every minute; and a minute
 * more. Source: k8s.io/apiserver/pkg/server/options/encryptionconfig/config.go
 */
const SETTLE_MS = 5 * 60_000

const POLL_MS = 5_000

/** Looks of a proof in which API servers that keep their Lease were not met, before it is left at that. */
const MOST_LOOKS_FOR_UNSEEN = 6

/** The `date` of an answer has no fractions of a second. */
const DATE_RESOLUTION = 2_000

/** Whether every API server writes Secrets as the cluster's profile has it, and what that is known by. */
export class Convergence {
  readonly #options: ConvergenceOptions
  /** `key_id_hash` of the key that Secrets are to be written under. */
  readonly #wanted: string | undefined
  #look: Look = { connections: 0, sightings: 'unreadable', live: undefined, agreed: undefined }
  #servers: readonly ApiServer[] = []
  #waitedMs = 0
  #looksWithUnseen = 0

  constructor(options: ConvergenceOptions) {
    this.#options = options
    this.#wanted = options.writeKey.kind === 'key' ? keyIdHashOf(options.writeKey.keyId) : undefined
  }

  /**
   * After a change of key: waits until every API server that tells its keys knows the new one. `behind`: one still does not,
   * after all patience, and could not read what others write under it.
   */
  async beforeFirstPass(): Promise<'ready' | 'behind'> {
    const { keyChange, clock } = this.#options
    const state = keyChange === undefined ? 'settled' : await this.untilCurrent([], clock.now())
    return state === 'behind' && this.#behind.length > 0 ? 'behind' : 'ready'
  }

  /**
   * Waits until every API server that is met leaves the probes alone and has written under no other key since. `settled`: all
   * were so at once. `waited`: they are by now. `behind`: one of them still is not, after all patience.
   */
  async untilCurrent(probes: readonly SecretVersion[], since: number): Promise<'settled' | 'waited' | 'behind'> {
    const { clock, signal, log, behindMs = BEHIND_MS } = this.#options
    let state: 'settled' | 'waited' = 'settled'
    let said = ''
    for (let from = since, refreshProbes = false; ; refreshProbes = true) {
      const lookedAt = clock.now()
      await this.#lookAgain(probes, refreshProbes, from)
      const obstacle = this.#obstacle()
      const reason = obstacle ?? this.#unseen()
      if (reason === undefined) return state
      if (obstacle !== undefined && this.#waitedMs >= behindMs) return 'behind'
      if (reason !== said) log?.info(`Waiting: ${reason}`)
      said = reason
      await clock.sleep(POLL_MS, signal)
      this.#waitedMs += clock.now() - lookedAt
      // One that was not met yet has spoilt nothing, but is to be asked for all that time when it is.
      if (obstacle === undefined) continue
      state = 'waited'
      from = lookedAt
    }
  }

  /**
   * After a pass that found every Secret current. `settled`: all API servers that were met would leave them so. `waited`: they
   * do now, but another pass has to find it. `behind`: one of them still does not, after all patience.
   */
  async afterPass(probes: readonly SecretVersion[], passBegan: number): Promise<'settled' | 'waited' | 'behind'> {
    const { clock, keyChange, settleMs = SETTLE_MS, log, signal } = this.#options
    const state = await this.untilCurrent(probes, passBegan)
    if (state !== 'settled' || keyChange === undefined || this.evidence.basis === 'metrics') return state
    if (this.#allStartedSince(keyChange.beganAt) || passBegan >= keyChange.endedAt + settleMs) return state
    const rest = Math.max(0, keyChange.endedAt + settleMs - clock.now())
    log?.info(
      `The API servers’ metrics do not tell which key they write under, so they are given time to take up the new one: ${inSeconds(rest)}.`
    )
    await clock.sleep(rest, signal)
    this.#waitedMs += rest
    return 'waited'
  }

  get evidence(): Evidence {
    const { sightings, live, connections } = this.#look
    const reason = typeof sightings === 'string' ? sightings : this.#uselessness(sightings)
    return {
      basis: reason === undefined ? 'metrics' : 'passes',
      reason,
      servers: this.#servers,
      live: live?.size,
      connections,
      waitedMs: this.#waitedMs
    }
  }

  /**
   * KMS v1 does not see that a key was changed behind the name of its provider: nothing is stale then, ever. True where only
   * KMS v1 is in use, and every API server has had the chance to take up the new key.
   */
  get blindToChange(): boolean {
    const { keyChange, clock, settleMs = SETTLE_MS } = this.#options
    const { sightings } = this.#look
    if (keyChange === undefined || typeof sightings === 'string') return false
    const onlyV1 = sightings.every(
      ({ metrics }) =>
        metrics.keys.length === 0 && [...metrics.prefixes].some((name) => name.startsWith('k8s:enc:kms:v1:'))
    )
    const hadTheChance = this.#allStartedSince(keyChange.beganAt) || clock.now() >= keyChange.endedAt + settleMs
    return onlyV1 && hadTheChance
  }

  get #behind(): readonly ApiServer[] {
    return this.#servers.filter(({ state }) => state === 'behind')
  }

  async #lookAgain(probes: readonly SecretVersion[], refreshProbes: boolean, since: number): Promise<void> {
    const { endpoint, signal, clock, maxConcurrency, pace } = this.#options
    const askMetrics = this.#look.connections === 0 || this.#look.sightings !== 'unreadable'
    const options = { endpoint, signal, clock, maxConcurrency, pace, probes, refreshProbes, askMetrics }
    this.#look = await lookAtApiServers(options)
    const { sightings } = this.#look
    const elapsed = clock.now() - since
    this.#servers =
      typeof sightings === 'string'
        ? []
        : sightings
            .map((sighting) => this.#serverOf(sighting, elapsed, sightings))
            .sort((a, b) => a.id.localeCompare(b.id))
  }

  /** Why it can't be said yet that all API servers write as they should; undefined: they do, as far as can be known. */
  #obstacle(): string | undefined {
    const { connections, agreed, sightings } = this.#look
    if (connections === 0) return 'no API server answers.'
    const behind = this.#behind
    if (behind.length > 0) {
      const ids = behind.map(({ id }) => id.slice(0, 'sha256:'.length + 12)).join(', ')
      return `${String(behind.length)} of ${String(this.#servers.length)} API servers ${behind.length === 1 ? 'does' : 'do'} not write under the cluster’s key yet (${ids}).`
    }
    if (agreed === false) return 'the API servers do not agree yet on how a Secret is to be written.'
    if (typeof sightings === 'string') return undefined
    if (this.#wanted !== undefined && this.#namesOthersOnly(sightings) && this.#mayStillCome())
      return 'no API server knows the cluster’s key yet.'
    return undefined
  }

  /** Who was not met although it keeps its Lease; undefined: nobody, or nobody who is still looked for. */
  #unseen(): string | undefined {
    const { sightings, live } = this.#look
    if (typeof sightings === 'string') return undefined
    const unseen = (live?.size ?? 0) - sightings.filter(({ metrics }) => live?.has(metrics.id) === true).length
    if (unseen === 0 || ++this.#looksWithUnseen >= MOST_LOOKS_FOR_UNSEEN) return undefined
    return `${String(unseen)} of ${String(live?.size)} API servers ${unseen === 1 ? 'was' : 'were'} not met yet.`
  }

  #mayStillCome(): boolean {
    const { keyChange, clock, settleMs = SETTLE_MS } = this.#options
    return keyChange !== undefined && clock.now() < keyChange.endedAt + settleMs
  }

  /** Why these metrics prove nothing. */
  #uselessness(sightings: readonly Sighting[]): Evidence['reason'] {
    if (sightings.every(({ metrics }) => metrics.keys.length === 0)) return 'no-kms'
    return this.#namesOthersOnly(sightings) ? 'other-names' : undefined
  }

  #namesOthersOnly(sightings: readonly Sighting[]): boolean {
    const keys = sightings.flatMap(({ metrics }) => metrics.keys)
    return this.#options.writeKey.kind !== 'none' && keys.length > 0 && !keys.some((key) => this.#isWanted(key))
  }

  #isWanted({ keyIdHash }: MeteredKey): boolean {
    return keyIdHash === this.#wanted
  }

  #serverOf(sighting: Sighting, elapsed: number, all: readonly Sighting[]): ApiServer {
    const { id, startedAt, keys } = sighting.metrics
    return {
      id,
      state: this.#stateOf(sighting, elapsed, all),
      startedAt: new Date(startedAt).toISOString(),
      keys: keys.map((key): KeyUse => {
        return {
          keyIdHash: key.keyIdHash,
          wanted: this.#isWanted(key),
          provider: key.provider,
          lastStatusAt: timeText(key.status),
          lastReadAt: timeText(key.read),
          lastWriteAt: timeText(key.write)
        }
      })
    }
  }

  #stateOf({ metrics: { keys }, at }: Sighting, elapsed: number, all: readonly Sighting[]): ApiServer['state'] {
    if (keys.length === 0 || this.#namesOthersOnly(all)) return 'unknown'
    const since = at - elapsed - DATE_RESOLUTION
    const wroteOtherwise = keys.some((key) => !this.#isWanted(key) && key.write !== undefined && key.write >= since)
    const knows = this.#wanted === undefined || keys.some((key) => this.#isWanted(key))
    return wroteOtherwise || !knows ? 'behind' : 'current'
  }

  #allStartedSince(moment: number): boolean {
    const { sightings } = this.#look
    const ago = this.#options.clock.now() - moment
    return (
      typeof sightings !== 'string' &&
      sightings.every(({ metrics: { startedAt }, at }) => at - startedAt <= ago + DATE_RESOLUTION)
    )
  }
}

function timeText(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString()
}

function inSeconds(milliseconds: number): string {
  return `${String(Math.ceil(milliseconds / 1000))} s`
}
