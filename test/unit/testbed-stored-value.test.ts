import { expect, test } from '@jest/globals'

import { decodeKmsV2Value, encodeKmsV2Value, parseStoredValue } from '../../testbed/etcd/stored-value.ts'

const VALUE = {
  providerName: 'azurekms1',
  keyIdHash: 'ab'.repeat(32),
  encryptedData: Buffer.alloc(70_000, 7),
  encryptedDekSource: Buffer.alloc(256, 9),
  annotations: { 'algorithm.azure.akv.io': Buffer.from('RSA-OAEP-256'), 'empty.azure.akv.io': Buffer.alloc(0) }
}

test('a KMS v2 value is what it was after encoding and decoding', () => {
  expect(decodeKmsV2Value(encodeKmsV2Value(VALUE))).toEqual(VALUE)
})

test('a KMS v2 value has the bytes that protobuf prescribes', () => {
  const bytes = encodeKmsV2Value({
    providerName: 'p',
    keyIdHash: 'id',
    encryptedData: Buffer.from([1, 2]),
    encryptedDekSource: Buffer.from([3]),
    annotations: { a: Buffer.from([4]) }
  })
  const message = '0a020102' + '12026964' + '1a0103' + '2206' + '0a0161' + '120104' + '2801'
  expect(Buffer.from(bytes).toString('latin1')).toBe(
    `k8s:enc:kms:v2:p:${Buffer.from(message, 'hex').toString('latin1')}`
  )
})

test.each([
  ['k8s\0 a value in clear', 'identity'],
  ['{"kind":"Secret"}', 'identity'],
  ['', 'identity'],
  ['k8s:enc:kms:v1:azurekms0:\x01\x02', 'k8s:enc:kms:v1:azurekms0'],
  ['k8s:enc:aesgcm:v1:key1:\x01:\x02', 'k8s:enc:aesgcm:v1:key1']
])('%j was written by %s, under no key that it names', (bytes, provider) => {
  expect(parseStoredValue(Buffer.from(bytes, 'latin1'))).toEqual({ provider, keyIdHash: undefined })
})

test('a KMS v2 value names provider and key', () => {
  expect(parseStoredValue(encodeKmsV2Value(VALUE))).toEqual({
    provider: 'k8s:enc:kms:v2:azurekms1',
    keyIdHash: VALUE.keyIdHash
  })
})

test('half a KMS v2 value is an error, not half an answer', () => {
  expect(() => parseStoredValue(encodeKmsV2Value(VALUE).subarray(0, 5_000))).toThrow('ends within a field')
})
