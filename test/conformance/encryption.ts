import { createHash } from 'node:crypto'

import { beforeAll, expect, test } from '@jest/globals'

import type { EncryptionProvider, StoredSecret } from '../../testbed/contract.ts'
import { eventually } from './eventually.ts'
import { accept, mergePatch } from './media-types.ts'
import { samples, type Sample } from './metrics.ts'
import { call, failure, plant, revisionOf, type Answer, type Subject } from './subject.ts'
import type { InMemoryVault } from './vault.ts'

const namespace = 'encryption-conforms'
const collection = `/api/v1/namespaces/${namespace}/secrets`
const names = ['one', 'two', 'three']

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const keyId = (version: number): string => `https://conformance.vault.azure.net/keys/etcd/${version}`
const slot = (number: number, version: number, apiVersion: 'v1' | 'v2' = 'v2'): EncryptionProvider => ({
  kind: 'kms',
  apiVersion,
  name: `slot${number}`,
  keyId: keyId(version)
})
const identity: EncryptionProvider = { kind: 'identity' }
const fileKey = (keyName: string): EncryptionProvider => ({
  kind: 'aescbc',
  keyName,
  secret: Buffer.from(keyName.padEnd(32, '.')).toString('base64')
})

/** The life of KMS encryption: what makes an empty patch write, which bytes it writes, and what metrics tell of it. */
export function encryptionConforms(subject: () => Subject, vault: InMemoryVault): void {
  beforeAll(async () => {
    for (const name of names) await plant(subject(), namespace, name)
  })

  const patch = (name: string): Promise<Answer> =>
    call(subject(), 'PATCH', `${collection}/${name}?includeObject=None`, {
      body: {},
      contentType: mergePatch,
      accept: accept.table
    })
  const stored = async (): Promise<readonly StoredSecret[]> =>
    (await subject().controlPlane.storedSecrets()).filter((secret) => secret.namespace === namespace)
  const roll = (...encryption: EncryptionProvider[]): Promise<void> => subject().controlPlane.roll(encryption)
  const contents = async (): Promise<unknown> =>
    (
      (await call(subject(), 'GET', collection)).body as { readonly items: readonly { readonly data: unknown }[] }
    ).items.map(({ data }) => data)

  /** Patches every Secret twice: the first time each must be written exactly once, the second time none. */
  async function everyPatchWritesOnce(): Promise<void> {
    const before = await call(subject(), 'GET', `${collection}?includeObject=None`, { accept: accept.table })
    const first = []
    for (const name of names) first.push(await patch(name))
    for (const answer of first) {
      expect(answer).toMatchObject({ status: 200, body: { kind: 'Table', rows: [{ object: null }] } })
      expect(revisionOf(answer)).toBeGreaterThan(revisionOf(before))
    }
    const second = []
    for (const name of names) second.push(await patch(name))
    expect(second.map(revisionOf)).toEqual(first.map(revisionOf))
    expect((await stored()).map(({ revision }) => revision).sort()).toEqual(first.map(revisionOf).sort())
    expect(await contents()).toEqual(names.map(() => ({ password: 'aHVudGVyMg==' })))
  }

  async function everySecretIsStoredUnder(provider: string, keyIdHash: string | undefined): Promise<void> {
    const secrets = await stored()
    expect(secrets.map(({ name }) => name).sort()).toEqual([...names].sort())
    for (const secret of secrets) {
      expect(secret).toMatchObject({ provider, keyIdHash })
      const bytes = Buffer.from(secret.bytes).toString('latin1')
      expect(bytes.startsWith(provider === 'identity' ? '' : `${provider}:`)).toBe(true)
      expect(bytes.includes('k8s:enc:')).toBe(provider !== 'identity')
      // Protocol Buffers hold the value itself, JSON its base64.
      expect(bytes.includes('hunter2') || bytes.includes('aHVudGVyMg==')).toBe(provider === 'identity')
    }
  }

  const samplesOf = (name: string): Promise<readonly Sample[]> => samples(subject(), name)

  test('without encryption nothing is stale', async () => {
    await everySecretIsStoredUnder('identity', undefined)
    const before = (await stored()).map(({ revision }) => revision)
    for (const name of names) await patch(name)
    expect((await stored()).map(({ revision }) => revision)).toEqual(before)
  })

  const kmsHealth = async (): Promise<unknown> => (await call(subject(), 'GET', '/readyz/kms-providers')).body

  test('without encryption there is no KMS whose health could be asked for', async () => {
    expect(await kmsHealth()).toBe('404 page not found\n')
  })

  test('enabled, what was stored without encryption is stale', async () => {
    await roll(slot(0, 1), identity)
    await everySecretIsStoredUnder('identity', undefined)
    await everyPatchWritesOnce()
    await everySecretIsStoredUnder('k8s:enc:kms:v2:slot0', sha256(keyId(1)))
    expect(await kmsHealth()).toBe('ok')
  }, 60_000)

  test('metrics name provider and key of what is written and read', async () => {
    const total = await samplesOf('apiserver_envelope_encryption_key_id_hash_total')
    const labels = {
      apiserver_id_hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      key_id_hash: `sha256:${sha256(sha256(keyId(1)))}`,
      provider_name: 'slot0'
    }
    for (const type of ['to_storage', 'from_storage']) {
      const [sample, ...others] = total.filter((candidate) => candidate.labels['transformation_type'] === type)
      expect(others).toEqual([])
      expect(sample?.labels).toEqual({ ...labels, transformation_type: type })
      expect(sample?.value).toBeGreaterThanOrEqual(names.length)
    }
    const last = await samplesOf('apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds')
    expect(last.map((sample) => sample.labels['transformation_type']).sort()).toEqual(['from_storage', 'to_storage'])
    for (const { value } of last) expect(Math.abs(value - Date.now() / 1000)).toBeLessThan(60)
    const status = await samplesOf('apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds')
    expect(status.map((sample) => sample.labels)).toEqual([labels])
    const operations = await samplesOf('apiserver_storage_transformation_operations_total')
    expect(operations.map((sample) => sample.labels)).toEqual(
      expect.arrayContaining([
        { resource: 'secrets', status: 'OK', transformation_type: 'from_storage', transformer_prefix: 'identity' },
        {
          resource: 'secrets',
          status: 'OK',
          transformation_type: 'from_storage',
          transformer_prefix: 'k8s:enc:kms:v2:slot0:'
        },
        {
          resource: 'secrets',
          status: 'OK',
          transformation_type: 'to_storage',
          transformer_prefix: 'k8s:enc:kms:v2:slot0:'
        }
      ])
    )
  })

  test('rotated to the other slot, what was stored under the first is stale, and is read all the same', async () => {
    await roll(slot(1, 2), slot(0, 1), identity)
    expect(await contents()).toHaveLength(names.length)
    await everySecretIsStoredUnder('k8s:enc:kms:v2:slot0', sha256(keyId(1)))
    await everyPatchWritesOnce()
    await everySecretIsStoredUnder('k8s:enc:kms:v2:slot1', sha256(keyId(2)))
  }, 60_000)

  test('a restart forgets metrics and makes nothing stale', async () => {
    await roll(slot(1, 2), slot(0, 1), identity)
    const before = (await stored()).map(({ revision }) => revision)
    for (const name of names) await patch(name)
    expect((await stored()).map(({ revision }) => revision)).toEqual(before)
    const total = await samplesOf('apiserver_envelope_encryption_key_id_hash_total')
    expect(total.map(({ labels }) => labels['provider_name'])).toEqual(['slot1'])
  }, 60_000)

  const internalError = (message: string): object =>
    failure(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] })

  const listStatus = async (): Promise<number> =>
    (await call(subject(), 'GET', `${collection}?limit=10&includeObject=None`, { accept: accept.table })).status

  async function withStored(bytes: (present: Buffer) => Uint8Array, test: () => Promise<void>): Promise<void> {
    const present = (await stored()).find(({ name }) => name === 'one')?.bytes
    if (present === undefined) throw new Error('the Secret was not found in etcd')
    await subject().store(namespace, 'one', bytes(Buffer.from(present)))
    try {
      await test()
    } finally {
      await subject().store(namespace, 'one', present)
      await eventually(async () => (await listStatus()) === 200)
    }
  }

  test('what no provider can decrypt can be neither read nor patched nor replaced nor deleted, and spoils the list', async () => {
    const message = 'no matching prefix found'
    const body = internalError(message)
    const path = `${collection}/one`
    await withStored(
      () => Buffer.from('k8s:enc:kms:v2:nobody:x'),
      async () => {
        expect(await call(subject(), 'GET', path)).toEqual({ status: 500, body })
        expect(await patch('one')).toEqual({ status: 500, body })
        expect(await call(subject(), 'PUT', path, { body: { metadata: { name: 'one' } } })).toEqual({
          status: 500,
          body
        })
        expect(await call(subject(), 'DELETE', path)).toEqual({ status: 500, body })
        await eventually(async () => (await listStatus()) === 500)
        const list = await call(subject(), 'GET', `${collection}?limit=10&includeObject=None`, { accept: accept.table })
        expect(list.body).toEqual(
          internalError(`unable to transform key "/registry/secrets/${namespace}/one": ${message}`)
        )
      }
    )
    expect(await contents()).toHaveLength(names.length)
  }, 60_000)

  test('a plugin decrypts under its own key alone', async () => {
    const other = sha256(keyId(9))
    await withStored(
      (present) => Buffer.from(present.toString('latin1').replace(sha256(keyId(2)), other), 'latin1'),
      async () => {
        const message = `failed to decrypt DEK, error: rpc error: code = Unknown desc = key id "${other}" does not match the expected "${sha256(keyId(2))}"`
        expect(await patch('one')).toEqual({ status: 500, body: internalError(message) })
      }
    )
    const operations = await samplesOf('apiserver_storage_transformation_operations_total')
    expect(operations.map(({ labels }) => labels)).toContainEqual({
      resource: 'secrets',
      status: 'Unknown',
      transformation_type: 'from_storage',
      transformer_prefix: 'k8s:enc:kms:v2:slot1:'
    })
  }, 60_000)

  test('a value belongs to its Secret and can not be changed', async () => {
    const message = 'cipher: message authentication failed'
    const another = (await stored()).find(({ name }) => name === 'two')?.bytes ?? Buffer.of()
    await withStored(
      () => another,
      async () => expect(await patch('one')).toEqual({ status: 500, body: internalError(message) })
    )
    await withStored(
      (present) => present.fill(present.readUInt8(100) ^ 1, 100, 101),
      async () => expect(await patch('one')).toEqual({ status: 500, body: internalError(message) })
    )
  }, 60_000)

  test('a roll that would lose a key in use fails, and all goes on as before', async () => {
    await expect(roll(slot(0, 3), identity)).rejects.toThrow()
    const before = (await stored()).map(({ revision }) => revision)
    for (const name of names) expect(await patch(name)).toMatchObject({ status: 200 })
    expect((await stored()).map(({ revision }) => revision)).toEqual(before)
    await everySecretIsStoredUnder('k8s:enc:kms:v2:slot1', sha256(keyId(2)))
  }, 150_000)

  test('under a key that the vault refuses all goes on for a while; API servers that start anew are down, until it may be used again', async () => {
    const path = `${collection}/one`
    const ready = async (): Promise<number> => (await call(subject(), 'GET', '/readyz')).status
    vault.setUsable(keyId(2), false)
    expect((await call(subject(), 'GET', path)).status).toBe(200)
    expect(await patch('one')).toMatchObject({ status: 200 })

    await subject().controlPlane.restart()
    expect(await ready()).toBe(500)
    const body = internalError('got unexpected nil transformer')
    expect(await call(subject(), 'GET', path)).toEqual({ status: 500, body })
    expect(await patch('one')).toEqual({ status: 500, body })
    expect(await listStatus()).toBe(500)

    vault.setUsable(keyId(2), true)
    await eventually(async () => (await ready()) === 200 && (await listStatus()) === 200)
    expect(await patch('one')).toMatchObject({ status: 200 })
    await everySecretIsStoredUnder('k8s:enc:kms:v2:slot1', sha256(keyId(2)))
  }, 90_000)

  test('disabled, what was stored under KMS is stale', async () => {
    await roll(identity, slot(1, 2), slot(0, 1))
    await everyPatchWritesOnce()
    await everySecretIsStoredUnder('identity', undefined)
  }, 60_000)

  test('KMS v1 wraps a key for every write, and its successor finds it stale', async () => {
    await roll(slot(0, 1, 'v1'), identity)
    await everyPatchWritesOnce()
    await everySecretIsStoredUnder('k8s:enc:kms:v1:slot0', undefined)
    await roll(slot(1, 1), slot(0, 1, 'v1'), identity)
    await everyPatchWritesOnce()
    await everySecretIsStoredUnder('k8s:enc:kms:v2:slot1', sha256(keyId(1)))
  }, 90_000)

  test('keys in a file: another one in first place makes everything stale, and metrics name none of them', async () => {
    const [first, second] = ['first', 'second'].map((keyName) => fileKey(keyName)) as [
      EncryptionProvider,
      EncryptionProvider
    ]
    await roll(first, slot(1, 1), identity)
    await everyPatchWritesOnce()
    await everySecretIsStoredUnder('k8s:enc:aescbc:v1:first', undefined)
    await roll(second, first, identity)
    await everyPatchWritesOnce()
    await everySecretIsStoredUnder('k8s:enc:aescbc:v1:second', undefined)
    for (const suffix of ['total', 'last_timestamp_seconds', 'status_last_timestamp_seconds']) {
      expect(await samplesOf(`apiserver_envelope_encryption_key_id_hash_${suffix}`)).toEqual([])
    }
  }, 90_000)

  test('etcd holds no Secret that the API does not know', async () => {
    const { body } = await call(subject(), 'GET', '/api/v1/secrets', { accept: accept.metadataList })
    const { items } = body as {
      readonly items: readonly {
        readonly metadata: { readonly namespace: string; readonly name: string; readonly resourceVersion: string }
      }[]
    }
    const known = items.map(({ metadata }) => `${metadata.namespace}/${metadata.name} ${metadata.resourceVersion}`)
    const found = (await subject().controlPlane.storedSecrets()).map(
      (secret) => `${secret.namespace}/${secret.name} ${secret.revision}`
    )
    expect(found.sort()).toEqual(known.sort())
  })
}
