import { bytesField, messageField, readFields, stringField, varintField, type Field } from './protobuf.ts'

/** A value that the KMS v2 provider of an API server has written, taken apart. */
export interface KmsV2Value {
  readonly providerName: string
  /** The key id that the KMS plugin reported; Azure's is the SHA-256 in hex of the key version's url. */
  readonly keyIdHash: string
  readonly encryptedData: Uint8Array
  /** The seed that data keys are derived from, encrypted by the KMS plugin. */
  readonly encryptedDekSource: Uint8Array
  readonly annotations: Readonly<Record<string, Uint8Array>>
}

const KMS_V2_PREFIX = 'k8s:enc:kms:v2:'

/** `k8s:enc:<kind>:<version>:<name>:` */
const PREFIX = /^k8s:enc:[^:]+:[^:]+:[^:]+:/

const FIELD = { encryptedData: 1, keyId: 2, encryptedDekSource: 3, annotations: 4, encryptedDekSourceType: 5 } as const
const ENTRY = { key: 1, value: 2 } as const

/** `HKDF_SHA256_XNONCE_AES_GCM_SEED`, the only source that API servers write since Kubernetes 1.29. */
const HKDF_SEED = 1

/** Who wrote a value (`identity`, or the provider's prefix without the last colon) and, with KMS v2, under which key. */
export function parseStoredValue(bytes: Uint8Array): {
  readonly provider: string
  readonly keyIdHash: string | undefined
} {
  const prefix = providerPrefix(bytes)
  if (prefix === undefined) return { provider: 'identity', keyIdHash: undefined }
  return {
    provider: prefix.slice(0, -1),
    keyIdHash: prefix.startsWith(KMS_V2_PREFIX) ? decodeKmsV2Value(bytes).keyIdHash : undefined
  }
}

export function encodeKmsV2Value(value: KmsV2Value): Uint8Array {
  const annotations = Object.entries(value.annotations).map(([name, content]) =>
    messageField(FIELD.annotations, Buffer.concat([stringField(ENTRY.key, name), bytesField(ENTRY.value, content)]))
  )
  return Buffer.concat([
    Buffer.from(`${KMS_V2_PREFIX}${value.providerName}:`, 'utf8'),
    bytesField(FIELD.encryptedData, value.encryptedData),
    stringField(FIELD.keyId, value.keyIdHash),
    bytesField(FIELD.encryptedDekSource, value.encryptedDekSource),
    ...annotations,
    varintField(FIELD.encryptedDekSourceType, HKDF_SEED)
  ])
}

export function decodeKmsV2Value(bytes: Uint8Array): KmsV2Value {
  const prefix = providerPrefix(bytes)
  if (prefix?.startsWith(KMS_V2_PREFIX) !== true) throw new Error('KMS v2 did not write this value.')
  const fields = readFields(bytes.subarray(prefix.length))
  return {
    providerName: prefix.slice(KMS_V2_PREFIX.length, -1),
    keyIdHash: text(octetsOf(fields, FIELD.keyId)),
    encryptedData: octetsOf(fields, FIELD.encryptedData),
    encryptedDekSource: octetsOf(fields, FIELD.encryptedDekSource),
    annotations: Object.fromEntries(
      fields
        .filter(({ number }) => number === FIELD.annotations)
        .map(({ value }) => readFields(octets(value)))
        .map((entry) => [text(octetsOf(entry, ENTRY.key)), octetsOf(entry, ENTRY.value)])
    )
  }
}

function providerPrefix(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 512))
  return PREFIX.exec(start.toString('latin1'))?.[0]
}

/** As protobuf has it: of a scalar written twice the last one counts, and an absent one is empty. */
function octetsOf(fields: readonly Field[], number: number): Uint8Array {
  return octets(fields.findLast((field) => field.number === number)?.value ?? new Uint8Array())
}

function octets(value: number | Uint8Array): Uint8Array {
  if (typeof value === 'number') throw new Error('The value holds a number where octets belong.')
  return value
}

function text(value: Uint8Array): string {
  return Buffer.from(value).toString('utf8')
}
