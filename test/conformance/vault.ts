import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, type KeyObject } from 'node:crypto'

import type { KeyOperations } from '../../testbed/contract.ts'

const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }

export interface InMemoryVault extends KeyOperations {
  /** From now on the vault lets nobody use the key, or lets everybody again. */
  setUsable(keyId: string, usable: boolean): void
}

/** Key Vault reduced to its two operations. A key exists as soon as it is named. */
export function inMemoryVault(): InMemoryVault {
  const refused = new Set<string>()
  const keys = new Map<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>()
  const keyOf = (keyId: string): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } => {
    const key = keys.get(keyId) ?? generateKeyPairSync('rsa', { modulusLength: 2048 })
    keys.set(keyId, key)
    return key
  }
  const usableKey = (keyId: string): ReturnType<typeof keyOf> => {
    if (refused.has(keyId)) throw new Error(`Operation is not allowed on key ${keyId}`)
    return keyOf(keyId)
  }
  return {
    async encrypt(keyId, plaintext) {
      return publicEncrypt({ key: usableKey(keyId).publicKey, ...padding }, plaintext)
    },
    async decrypt(keyId, ciphertext) {
      return privateDecrypt({ key: usableKey(keyId).privateKey, ...padding }, ciphertext)
    },
    setUsable(keyId, usable) {
      if (usable) refused.delete(keyId)
      else refused.add(keyId)
    }
  }
}
