import { randomBytes } from 'node:crypto'

import type { KeyOperations } from '../../contract.ts'
import { decryptWithOneOf } from '../../earlier-keys.ts'
import { open, seal } from './aes-gcm.ts'
import { callPlugin } from './plugin.ts'
import { TransformError, type Transformer } from './transformer.ts'

/**
 * `k8s:enc:kms:v1:<name>:`, the length of the wrapped key in two octets, the wrapped key, the data. Each write asks Key Vault
 * for a new key, and nothing in the value says which key version wrapped it: no value of this provider is ever stale.
 */
export function kmsV1(
  name: string,
  keyIds: readonly [string, ...(readonly string[])],
  vault: KeyOperations
): Transformer {
  const prefix = `k8s:enc:kms:v1:${name}:`
  const unwrapped = new Map<string, Uint8Array>()
  return {
    prefix,
    async fromStorage(value, key) {
      const envelope = Buffer.from(value.buffer, value.byteOffset, value.length).subarray(prefix.length)
      const length = envelope.length < 2 ? Infinity : envelope.readUInt16BE()
      if (envelope.length < 2 + length) {
        throw new TransformError(
          'invalid data encountered by envelope transformer: failed to read uint16 length prefixed data'
        )
      }
      const wrapped = envelope.subarray(2, 2 + length)
      const cacheKey = wrapped.toString('base64')
      const dek = unwrapped.get(cacheKey) ?? (await callPlugin(() => decryptWithOneOf(vault, keyIds, wrapped)))
      unwrapped.set(cacheKey, dek)
      return { plaintext: open(dek, envelope.subarray(2 + length), key), stale: false }
    },
    async toStorage(plaintext, key) {
      const dek = randomBytes(32)
      const wrapped = await callPlugin(() => vault.encrypt(keyIds[0], dek))
      unwrapped.set(Buffer.from(wrapped).toString('base64'), dek)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(wrapped.length)
      return Buffer.concat([Buffer.from(prefix), length, wrapped, seal(dek, plaintext, key)])
    }
  }
}
