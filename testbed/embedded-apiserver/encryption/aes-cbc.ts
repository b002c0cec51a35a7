import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

import { TransformError, type Transformer } from './transformer.ts'

const blockLength = 16

/** `k8s:enc:aescbc:v1:<key>:`, the initialization vector, the ciphertext, under a key that the API server has from its own file. */
export function aesCbc(name: string, secret: string): Transformer {
  const prefix = `k8s:enc:aescbc:v1:${name}:`
  const key = Buffer.from(secret, 'base64')
  return {
    prefix,
    fromStorage(value) {
      const data = Buffer.from(value.buffer, value.byteOffset, value.length).subarray(prefix.length)
      if (data.length < blockLength) throw new TransformError('the stored data was shorter than the required size')
      const decipher = createDecipheriv('aes-256-cbc', key, data.subarray(0, blockLength))
      try {
        return {
          plaintext: Buffer.concat([decipher.update(data.subarray(blockLength)), decipher.final()]),
          stale: false
        }
      } catch {
        throw new TransformError('invalid padding on input')
      }
    },
    toStorage(plaintext) {
      const vector = randomBytes(blockLength)
      const cipher = createCipheriv('aes-256-cbc', key, vector)
      return Buffer.concat([Buffer.from(prefix), vector, cipher.update(plaintext), cipher.final()])
    }
  }
}
