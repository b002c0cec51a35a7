import type { EncryptionConfiguration, EncryptionProvider, KeyOperations } from '../../contract.ts'
import type { Metrics } from '../metrics.ts'
import { aesCbc } from './aes-cbc.ts'
import { identity } from './identity.ts'
import { kmsV1 } from './kms-v1.ts'
import { kmsV2 } from './kms-v2.ts'
import type { KmsV2Probe } from './kms-v2-probe.ts'
import { TransformError, type Read, type Transformer } from './transformer.ts'

export interface EncryptionOptions {
  readonly keyOperations: KeyOperations
  readonly kmsV1: boolean
  readonly metrics: Metrics
  /** Of the times at which KMS v2 plugins are asked for their status. */
  readonly timeScale: number
}

/** What an API server reads and writes with. */
export interface Encryption extends Transformer {
  /** Throws what is wrong with the plugins. */
  check(): Promise<void>
  /** The plugins are asked no more. */
  stop(): void
}

/** The providers in their order: the first one writes, and what any other one wrote is stale. */
export async function startEncryption(
  configuration: EncryptionConfiguration,
  options: EncryptionOptions
): Promise<Encryption> {
  const providers: Provider[] = []
  for (const provider of configuration) providers.push(await startProvider(provider, options))
  const [writer] = providers
  if (writer === undefined) throw new Error('the EncryptionConfiguration has no provider')
  return {
    async check() {
      for (const { probe } of providers) await probe?.check()
    },
    stop() {
      for (const { probe } of providers) probe?.stop()
    },
    prefix: '',
    fromStorage: (value, key) => read(providers, value, key, options.metrics),
    async toStorage(plaintext, key) {
      try {
        const value = await writer.toStorage(plaintext, key)
        options.metrics.recordTransformation('to_storage', writer.prefix, 'OK')
        return value
      } catch (error) {
        options.metrics.recordTransformation('to_storage', writer.prefix, metricStatus(error))
        throw error
      }
    }
  }
}

/** With KMS v2 it has a probe. */
type Provider = Transformer & { readonly probe?: KmsV2Probe }

async function startProvider(provider: EncryptionProvider, options: EncryptionOptions): Promise<Provider> {
  if (provider.kind === 'identity') return identity
  if (provider.kind === 'aescbc') return aesCbc(provider.keyName, provider.secret)
  if (provider.apiVersion === 'v2') {
    const { keyOperations: vault, metrics, timeScale } = options
    return kmsV2({ name: provider.name, keyId: provider.keyId, vault, metrics, timeScale })
  }
  if (!options.kmsV1) {
    throw new Error(
      'KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead. ' +
        'Set --feature-gates=KMSv1=true to use the deprecated KMSv1 feature.'
    )
  }
  return kmsV1(provider.name, [provider.keyId, ...(provider.earlierKeyIds ?? [])], options.keyOperations)
}

/** An error under a matching prefix lets the next provider try; identity's error isn't even told. */
async function read(
  providers: readonly Transformer[],
  value: Uint8Array,
  key: string,
  metrics: Metrics
): Promise<Read> {
  const start = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, 512)).toString('latin1')
  const errors: unknown[] = []
  for (const [index, provider] of providers.entries()) {
    if (!start.startsWith(provider.prefix)) continue
    const label = provider.prefix === '' ? 'identity' : provider.prefix
    try {
      const { plaintext, stale } = await provider.fromStorage(value, key)
      metrics.recordTransformation('from_storage', label, 'OK')
      return { plaintext, stale: stale || index !== 0 }
    } catch (error) {
      if (provider.prefix === '') continue
      metrics.recordTransformation('from_storage', label, metricStatus(error))
      errors.push(error)
    }
  }
  if (errors.length > 0) throw aggregate(errors)
  metrics.recordTransformation('from_storage', 'unknown', 'unknown-non-grpc')
  throw new TransformError('no matching prefix found')
}

function aggregate(errors: readonly unknown[]): TransformError {
  const messages = [...new Set(errors.map((error) => (error instanceof Error ? error.message : String(error))))]
  return new TransformError(messages.length === 1 ? (messages[0] ?? '') : `[${messages.join(', ')}]`)
}

const metricStatus = (error: unknown): string =>
  error instanceof TransformError ? error.metricStatus : 'unknown-non-grpc'
