import { createHash } from 'node:crypto'

import type { KeyOperations } from '../../contract.ts'
import type { Metrics } from '../metrics.ts'
import type { Seed } from './aes-gcm.ts'
import { callPlugin } from './plugin.ts'
import { TransformError } from './transformer.ts'

/** What everything is written with. */
interface DekSource {
  readonly seed: Seed
  readonly wrapped: Uint8Array
}

export interface KmsV2ProbeOptions {
  readonly name: string
  readonly keyId: string
  readonly keyIdHash: string
  readonly vault: KeyOperations
  readonly metrics: Metrics
  readonly timeScale: number
  makeSource(): Promise<DekSource>
}

/** How often the plugin is asked for its status, while it is healthy and while it is not, in milliseconds. */
const positiveInterval = 60_000
const negativeInterval = 10_000
/** For how long writes go on without a healthy answer. */
const writeTtl = 180_000
/** For how long an answer does for a health check. */
const positiveTtl = 20_000
const negativeTtl = 3_000

/** Milliseconds since the epoch, by the clock of the process: a test that hurries its own does not make a key expire. */
function wallClock(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * What one API server knows of a KMS v2 plugin. One that never answered leaves it unable to read or to write, one that answers no
 * more lets it read, and for a while write.
 * Source: k8s.io/apiserver/pkg/server/options/encryptionconfig/config.go
 */
export class KmsV2Probe {
  readonly #options: KmsV2ProbeOptions
  #source: DekSource | undefined
  #expires = 0
  #last: { readonly at: number; readonly failure: Error | undefined } = { at: -Infinity, failure: undefined }
  #timer: NodeJS.Timeout | undefined

  constructor(options: KmsV2ProbeOptions) {
    this.#options = options
  }

  /** Asks once, and from then on again and again. */
  async start(): Promise<void> {
    await this.check().catch(() => undefined)
    this.#askLater()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** Throws what is wrong with the plugin. */
  async check(): Promise<void> {
    const { timeScale } = this.#options
    const ttl = (this.#last.failure === undefined ? positiveTtl : negativeTtl) * timeScale
    if (wallClock() - this.#last.at >= ttl) {
      const failure = await this.#ask().then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error)))
      )
      this.#last = { at: wallClock(), failure }
    }
    if (this.#last.failure !== undefined) throw this.#last.failure
  }

  assertStarted(): void {
    if (this.#source === undefined) throw new TransformError('got unexpected nil transformer')
  }

  sourceForWriting(): DekSource {
    const now = wallClock()
    if (this.#source === undefined) throw new TransformError('got unexpected nil transformer')
    if (now <= this.#expires) return this.#source
    const hash = `sha256:${createHash('sha256').update(this.#options.keyIdHash).digest('hex')}`
    throw new TransformError(
      `encryptedDEKSource with keyID hash "${hash}" expired at ${inGo(this.#expires)} (current time is ${inGo(now)})`
    )
  }

  async #ask(): Promise<void> {
    const { name, keyId, keyIdHash, vault, metrics, timeScale } = this.#options
    const expires = wallClock() + writeTtl * timeScale
    const healthCheck = Buffer.from('healthcheck')
    await callPlugin(
      async () => vault.decrypt(keyId, await vault.encrypt(keyId, healthCheck)),
      `failed to perform status section of the healthz check for KMS Provider ${name}, error: `
    )
    metrics.recordKeyIdFromStatus(name, keyIdHash)
    this.#source ??= await this.#options.makeSource()
    this.#expires = expires
  }

  #askLater(): void {
    const interval = this.#last.failure === undefined ? positiveInterval : negativeInterval
    const askAgain = (): void => {
      void this.check()
        .catch(() => undefined)
        .then(() => this.#askLater())
    }
    this.#timer = setTimeout(askAgain, interval * this.#options.timeScale).unref()
  }
}

/** RFC 3339 with seconds. */
function inGo(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`
}
