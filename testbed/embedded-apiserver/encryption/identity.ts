import { TransformError, type Transformer } from './transformer.ts'

const encryptedPrefix = 'k8s:enc:'

/** Leaves values as they are, and refuses those that another provider wrote. */
export const identity: Transformer = {
  prefix: '',
  fromStorage(value) {
    if (Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1', 0, 8) === encryptedPrefix) {
      throw new TransformError('identity transformer tried to read encrypted data')
    }
    return { plaintext: value, stale: false }
  },
  toStorage: (plaintext) => plaintext
}
