import { bytesField, messageField, readFields, stringField, varintField, type Field } from './protobuf.ts'

/** A value that the KMS v2 provider of an API server has written, taken apart. */
export interface KmsV2Value {
  readonly providerName: string
  /** The key id that the KMS plugin reported; Azure's is the SHA-256 in hex of the key version's url. */
  readonly keyIdHash: string
  readonly encryptedData: Uint8Array
  /** The seed that the data key is derived from, encrypted by the KMS plugin. */
  readonly encryptedDekSource: Uint8Array
  readonly annotations: Readonly<Record<string, Uint8Array>>
}

const encryptedPrefix = 'k8s:enc:'
const kmsV2Prefix = `${encryptedPrefix}kms:v2:`

/** `EncryptedDEKSourceType.HKDF_SHA256_XNONCE_AES_GCM_SEED`, the only kind that API servers write since Kubernetes 1.29. */
const hkdfSeed = 1

const field = { encryptedData: 1, keyId: 2, encryptedDekSource: 3, annotations: 4, encryptedDekSourceType: 5 } as const
const entry = { key: 1, value: 2 } as const

/** Which provider wrote a value (`identity`, or its prefix without the last colon) and, for KMS v2, under which key. */
export const parseStoredValue = (
  bytes: Uint8Array
): { readonly provider: string; readonly keyIdHash: string | undefined } => {
  const prefix = encryptionPrefix(bytes)
  if (prefix === undefined) return { provider: 'identity', keyIdHash: undefined }
  return {
    provider: prefix.slice(0, -1),
    keyIdHash: prefix.startsWith(kmsV2Prefix) ? decodeKmsV2Value(bytes).keyIdHash : undefined
  }
}

export const encodeKmsV2Value = (value: KmsV2Value): Uint8Array =>
  Buffer.concat([
    Buffer.from(`${kmsV2Prefix}${value.providerName}:`, 'utf8'),
    bytesField(field.encryptedData, value.encryptedData),
    stringField(field.keyId, value.keyIdHash),
    bytesField(field.encryptedDekSource, value.encryptedDekSource),
    ...Object.entries(value.annotations).map(([name, text]) =>
      messageField(field.annotations, Buffer.concat([stringField(entry.key, name), bytesField(entry.value, text)]))
    ),
    varintField(field.encryptedDekSourceType, hkdfSeed)
  ])

export const decodeKmsV2Value = (bytes: Uint8Array): KmsV2Value => {
  const prefix = encryptionPrefix(bytes)
  if (prefix === undefined || !prefix.startsWith(kmsV2Prefix)) throw new Error('The value was not written by KMS v2.')
  const fields = [...readFields(bytes.subarray(prefix.length))]
  return {
    providerName: prefix.slice(kmsV2Prefix.length, -1),
    keyIdHash: text(octetsOf(fields, field.keyId)),
    encryptedData: octetsOf(fields, field.encryptedData),
    encryptedDekSource: octetsOf(fields, field.encryptedDekSource),
    annotations: Object.fromEntries(
      fields
        .filter(({ number }) => number === field.annotations)
        .map(({ value }) => [...readFields(octets(value))])
        .map((pair) => [text(octetsOf(pair, entry.key)), octetsOf(pair, entry.value)])
    )
  }
}

/** `k8s:enc:<kind>:<version>:<name>:`, or undefined where the value is not encrypted. */
const encryptionPrefix = (bytes: Uint8Array): string | undefined => {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 512)).toString('latin1')
  return /^k8s:enc:[^:]+:[^:]+:[^:]+:/.exec(start)?.[0]
}

/** As protobuf has it: the last of a repeated scalar counts, an absent one is empty. */
const octetsOf = (fields: readonly Field[], number: number): Uint8Array =>
  octets(fields.findLast((candidate) => candidate.number === number)?.value ?? new Uint8Array())

const octets = (value: number | Uint8Array): Uint8Array => {
  if (typeof value === 'number') throw new Error('The value holds a number where octets belong.')
  return value
}

const text = (value: Uint8Array): string => Buffer.from(value).toString('utf8')
