import { generateKeyPair, randomUUID, sign, verify, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

import { isJsonObject, type JsonObject } from './json.ts'

/** An RSA key that signs JSON Web Tokens. */
export interface SigningKey {
  readonly id: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  return { id: randomUUID(), privateKey, publicKey }
}

export function signToken(key: SigningKey, claims: JsonObject): string {
  const signed = [{ typ: 'JWT', alg: 'RS256', kid: key.id }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${signed}.${sign('sha256', Buffer.from(signed), key.privateKey).toString('base64url')}`
}

/** The claims of a token that this key signed; undefined for every other text. */
export function readToken(key: SigningKey, token: string): JsonObject | undefined {
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined
  const genuine = verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    key.publicKey,
    Buffer.from(signature, 'base64url')
  )
  if (!genuine) return undefined
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  return isJsonObject(claims) ? claims : undefined
}

export function publicJwk(key: SigningKey): JsonObject {
  const { n = '', e = '' } = key.publicKey.export({ format: 'jwk' })
  return { kty: 'RSA', use: 'sig', alg: 'RS256', kid: key.id, n, e }
}
