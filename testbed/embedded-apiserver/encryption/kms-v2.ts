import { createHash, randomBytes } from 'node:crypto'

import type { KeyOperations } from '../../contract.ts'
import { decodeKmsV2Value, encodeKmsV2Value, type KmsV2Value } from '../../etcd/stored-value.ts'
import type { Metrics } from '../metrics.ts'
import { Seed } from './aes-gcm.ts'
import { callPlugin } from './plugin.ts'
import { KmsV2Probe } from './kms-v2-probe.ts'
import { TransformError, type Transformer } from './transformer.ts'

/** As Azure's plugin marks what it wrapped. */
const annotations = {
  'algorithm.azure.akv.io': Buffer.from('RSA-OAEP-256'),
  'version.azure.akv.io': Buffer.from('1')
}

export interface KmsV2Provider extends Transformer {
  readonly probe: KmsV2Probe
}

export interface KmsV2Options {
  readonly name: string
  readonly keyId: string
  readonly vault: KeyOperations
  readonly metrics: Metrics
  /** Of kube-apiserver's own intervals. */
  readonly timeScale: number
}

/** One KMS v2 provider: one seed for all writes, wrapped by Key Vault once, when the API server starts. */
export async function kmsV2(options: KmsV2Options): Promise<KmsV2Provider> {
  const { name, keyId, vault, metrics } = options
  const prefix = `k8s:enc:kms:v2:${name}:`
  const keyIdHash = createHash('sha256').update(keyId).digest('hex')
  const unwrapped = new Map<string, Seed>()

  const probe = new KmsV2Probe({
    ...options,
    keyIdHash,
    async makeSource() {
      const source = randomBytes(32)
      const wrapped = await callPlugin(() => vault.encrypt(keyId, source), 'failed to encrypt DEK, error: ')
      const seed = new Seed(source)
      unwrapped.set(cacheKeyOf(keyIdHash, wrapped), seed)
      return { seed, wrapped }
    }
  })
  await probe.start()

  const seedOf = (value: KmsV2Value): Seed | Promise<Seed> => {
    const cacheKey = cacheKeyOf(value.keyIdHash, value.encryptedDekSource)
    return unwrapped.get(cacheKey) ?? unwrap(value, cacheKey)
  }

  const unwrap = async (value: KmsV2Value, cacheKey: string): Promise<Seed> => {
    const decrypted = await callPlugin(async () => {
      if (value.keyIdHash !== keyIdHash) {
        throw new Error(`key id "${value.keyIdHash}" does not match the expected "${keyIdHash}"`)
      }
      return vault.decrypt(keyId, value.encryptedDekSource)
    }, 'failed to decrypt DEK, error: ')
    const unwrappedSeed = new Seed(decrypted)
    unwrapped.set(cacheKey, unwrappedSeed)
    return unwrappedSeed
  }

  return {
    prefix,
    probe,
    async fromStorage(bytes, key) {
      const value = decode(bytes)
      probe.assertStarted()
      const plaintext = (await seedOf(value)).open(value.encryptedData, key)
      metrics.recordKeyId('from_storage', name, value.keyIdHash)
      return { plaintext, stale: value.keyIdHash !== keyIdHash }
    },
    toStorage(plaintext, key) {
      const { seed, wrapped } = probe.sourceForWriting()
      metrics.recordKeyId('to_storage', name, keyIdHash)
      return encodeKmsV2Value({
        providerName: name,
        keyIdHash,
        encryptedData: seed.seal(plaintext, key),
        encryptedDekSource: wrapped,
        annotations
      })
    }
  }
}

const cacheKeyOf = (keyIdHash: string, wrapped: Uint8Array): string =>
  `${keyIdHash} ${Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length).toString('latin1')}`

function decode(bytes: Uint8Array): KmsV2Value {
  try {
    return decodeKmsV2Value(bytes)
  } catch (error) {
    throw new TransformError(`proto: ${error instanceof Error ? error.message : String(error)}`)
  }
}
