import {
  constants,
  generateKeyPair,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  type JsonWebKey,
  type KeyObject
} from 'node:crypto'
import { promisify } from 'node:util'

import { vaultFault } from './vault-fault.ts'

const generate = promisify(generateKeyPair)

export type KeyType = 'RSA' | 'RSA-HSM' | 'EC' | 'EC-HSM'

/** One version of a key. A test may change what can be changed at any time; times are in seconds since the epoch. */
export interface KeyVersionState {
  /** Azure's spelling of the url that AKS pins. */
  readonly id: string
  readonly version: string
  readonly type: KeyType
  readonly size: number | undefined
  operations: readonly string[]
  enabled: boolean
  created: number
  updated: number
  expires: number | undefined
  notBefore: number | undefined
  tags: Readonly<Record<string, string>>
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export interface NewKeyVersion {
  readonly type?: KeyType
  readonly size?: number
  readonly operations?: readonly string[]
  readonly enabled?: boolean
  readonly created?: number
  readonly expires?: number | undefined
  readonly notBefore?: number | undefined
  readonly tags?: Readonly<Record<string, string>>
}

const rsaOperations = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey']
const ecOperations = ['sign', 'verify']

/** Makes real key material, off the main thread. */
export async function createKeyVersion(keyUrl: string, options: NewKeyVersion): Promise<KeyVersionState> {
  const { type = 'RSA', size = 2048 } = options
  const rsa = type.startsWith('RSA')
  const { publicKey, privateKey } = rsa
    ? await generate('rsa', { modulusLength: size })
    : await generate('ec', { namedCurve: 'P-256' })
  const version = randomBytes(16).toString('hex')
  const created = options.created ?? epoch()
  return {
    id: `${keyUrl}/${version}`,
    version,
    type,
    size: rsa ? size : undefined,
    operations: options.operations ?? (rsa ? rsaOperations : ecOperations),
    enabled: options.enabled ?? true,
    created,
    updated: created,
    expires: options.expires,
    notBefore: options.notBefore,
    tags: options.tags ?? {},
    publicKey,
    privateKey
  }
}

export function publicMaterial(version: KeyVersionState): Readonly<Record<string, string>> {
  const jwk: JsonWebKey = version.publicKey.export({ format: 'jwk' })
  const { n, e, crv, x, y } = jwk
  return Object.fromEntries(
    Object.entries({ n, e, crv, x, y }).flatMap(([name, value]) => (value ? [[name, value]] : []))
  )
}

/** Encrypts as Key Vault does: not with a key that is disabled, not yet valid, expired, or not meant for it. */
export function encryptWith(version: KeyVersionState, algorithm: string, plaintext: Uint8Array): Uint8Array {
  refuseUnfit(version, 'encrypt')
  const now = epoch()
  if (version.notBefore !== undefined && now < version.notBefore) {
    throw vaultFault(
      403,
      'Forbidden',
      'Operation encrypt is not allowed on a key that is not yet valid.',
      'KeyNotYetValid'
    )
  }
  if (version.expires !== undefined && now >= version.expires) {
    throw vaultFault(403, 'Forbidden', 'Operation encrypt is not allowed on an expired key.', 'KeyExpired')
  }
  return publicEncrypt({ key: version.publicKey, ...paddingOf(algorithm) }, plaintext)
}

/** Decrypts as Key Vault does: an expired key still decrypts, a disabled one doesn't. */
export function decryptWith(version: KeyVersionState, algorithm: string, ciphertext: Uint8Array): Uint8Array {
  refuseUnfit(version, 'decrypt')
  try {
    return privateDecrypt({ key: version.privateKey, ...paddingOf(algorithm) }, ciphertext)
  } catch {
    throw vaultFault(400, 'BadParameter', 'The parameter is incorrect.\r\n')
  }
}

export function epoch(): number {
  return Math.floor(Date.now() / 1000)
}

function refuseUnfit(version: KeyVersionState, operation: 'encrypt' | 'decrypt'): void {
  if (!version.enabled) {
    throw vaultFault(403, 'Forbidden', `Operation ${operation} is not allowed on a disabled key.`, 'KeyDisabled')
  }
  if (!version.operations.includes(operation)) {
    throw vaultFault(403, 'Forbidden', `Operation ${operation} is not permitted on this key.`, 'KeyOperationForbidden')
  }
  if (!version.type.startsWith('RSA')) {
    throw vaultFault(400, 'BadParameter', `Operation ${operation} is not supported by keys of type ${version.type}.`)
  }
}

function paddingOf(algorithm: string): { readonly padding: number; readonly oaepHash?: string } {
  switch (algorithm) {
    case 'RSA-OAEP-256':
      return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
    case 'RSA-OAEP':
      return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }
    case 'RSA1_5':
      return { padding: constants.RSA_PKCS1_PADDING }
    default:
      throw vaultFault(400, 'BadParameter', `Property alg has invalid value '${algorithm}'.`)
  }
}
