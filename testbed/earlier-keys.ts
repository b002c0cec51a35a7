import type { KeyOperations } from './contract.ts'

/**
 * Decrypts with whichever key fits, as a KMS plugin does whose ciphertexts name their key. Throws what the vault says of the
 * first key where none does.
 */
export async function decryptWithOneOf(
  keyOperations: KeyOperations,
  [keyId, ...earlierKeyIds]: readonly [string, ...(readonly string[])],
  ciphertext: Uint8Array
): Promise<Uint8Array> {
  try {
    return await keyOperations.decrypt(keyId, ciphertext)
  } catch (error) {
    for (const earlier of earlierKeyIds) {
      try {
        return await keyOperations.decrypt(earlier, ciphertext)
      } catch {
        continue
      }
    }
    throw error
  }
}
