import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, type KeyObject } from 'node:crypto'

import type { KeyOperations } from '../../testbed/contract.ts'

const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }

/** Key Vault reduced to its two operations. A key exists as soon as it is named. */
export function inMemoryVault(): KeyOperations {
  const keys = new Map<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>()
  const keyOf = (keyId: string): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } => {
    const key = keys.get(keyId) ?? generateKeyPairSync('rsa', { modulusLength: 2048 })
    keys.set(keyId, key)
    return key
  }
  return {
    encrypt: (keyId, plaintext) =>
      Promise.resolve(publicEncrypt({ key: keyOf(keyId).publicKey, ...padding }, plaintext)),
    decrypt: (keyId, ciphertext) =>
      Promise.resolve(privateDecrypt({ key: keyOf(keyId).privateKey, ...padding }, ciphertext))
  }
}
