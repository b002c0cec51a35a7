import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'

import { TransformError } from './transformer.ts'

const infoLength = 32
const nonceLength = 12
const tagLength = 16

/** `nonce || ciphertext || tag`, bound to the key in etcd under which the value lies. */
export function seal(key: Uint8Array | KeyObject, plaintext: Uint8Array, etcdKey: string): Buffer {
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(etcdKey))
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

export function open(key: Uint8Array | KeyObject, sealed: Uint8Array, etcdKey: string): Buffer {
  if (sealed.length < nonceLength + tagLength) {
    throw new TransformError('the stored data was shorter than the required size')
  }
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceLength))
    .setAAD(Buffer.from(etcdKey))
    .setAuthTag(sealed.subarray(-tagLength))
  const plaintext = decipher.update(sealed.subarray(nonceLength, -tagLength))
  try {
    decipher.final()
  } catch {
    throw new TransformError('cipher: message authentication failed')
  }
  return plaintext
}

/** `info || nonce || ciphertext || tag`, each value under its own key, which is derived from the seed and the info. */
export class Seed {
  readonly #seed: KeyObject
  /** As in kube-apiserver, what is read again and again is not derived again. */
  readonly #derived = new Map<string, KeyObject>()

  constructor(seed: Uint8Array) {
    this.#seed = createSecretKey(seed)
  }

  seal(plaintext: Uint8Array, etcdKey: string): Buffer {
    const info = randomBytes(infoLength)
    return Buffer.concat([info, seal(this.#derive(info), plaintext, etcdKey)])
  }

  open(sealed: Uint8Array, etcdKey: string): Buffer {
    if (sealed.length < infoLength) throw new TransformError('the stored data was shorter than the required size')
    const info = Buffer.from(sealed.buffer, sealed.byteOffset, infoLength)
    return open(this.#derive(info), sealed.subarray(infoLength), etcdKey)
  }

  /** HKDF's expand step (RFC 5869) with SHA-256, of which 32 octets are one block. */
  #derive(info: Buffer): KeyObject {
    const name = info.toString('latin1')
    const known = this.#derived.get(name)
    if (known !== undefined) return known
    const key = createSecretKey(createHmac('sha256', this.#seed).update(info).update(Uint8Array.of(1)).digest())
    if (this.#derived.size >= maximumDerived) this.#derived.clear()
    this.#derived.set(name, key)
    return key
  }
}

const maximumDerived = 50_000
