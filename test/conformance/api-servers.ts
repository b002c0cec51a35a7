import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'

import { beforeAll, describe, expect, test } from '@jest/globals'

import { overHttp1, type WireAnswer } from './client.ts'
import { eventually } from './eventually.ts'
import { accept, mergePatch } from './media-types.ts'
import { samples, samplesIn } from './metrics.ts'
import { call, failure, plant, tokens, type Call, type Subject } from './subject.ts'

const namespace = 'api-servers-conform'
const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
const identityLeases = `${leases}?labelSelector=apiserver.kubernetes.io/identity%3Dkube-apiserver`

const configured = 'apiserver_encryption_config_controller_last_config_info'
const operations = 'apiserver_storage_transformation_operations_total'
const started = 'process_start_time_seconds'

interface Lease {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly spec: { readonly holderIdentity: string; readonly leaseDurationSeconds: number; readonly renewTime: string }
}

const idHash = ({ metadata }: Lease): string => `sha256:${createHash('sha256').update(metadata.name).digest('hex')}`
const renewal = ({ spec }: Lease): number => Date.parse(spec.renewTime)

/** How API servers are told apart, and what one start of them knows: Leases and metrics. There is one behind the address. */
export function apiServersConform(subject: () => Subject): void {
  const get = (path: string, about: Call = {}): ReturnType<typeof call> => call(subject(), 'GET', path, about)
  const overWire = (headers: Readonly<Record<string, string>>): Promise<WireAnswer> =>
    overHttp1(subject().controlPlane, { path: '/metrics', token: tokens.operator, headers })

  async function listLeases(): Promise<readonly Lease[]> {
    const { status, body } = await get(identityLeases)
    expect(status).toBe(200)
    return (body as { readonly items: readonly Lease[] }).items
  }

  const ownIdHash = async (): Promise<string | undefined> =>
    (await samples(subject(), configured))[0]?.labels['apiserver_id_hash']

  /** The Lease of the API server that answers, which may come a moment after the first answer. */
  async function ownLease(): Promise<Lease> {
    const id = await ownIdHash()
    let own: Lease | undefined
    await eventually(async () => (own = (await listLeases()).find((lease) => idHash(lease) === id)) !== undefined)
    if (own === undefined) throw new Error('the Lease was not found')
    return own
  }

  describe('keep a Lease each', () => {
    test('that is named by the id whose hash their metrics carry', async () => {
      const lease = await ownLease()
      expect(lease.metadata.name).toMatch(/^apiserver-[a-z2-7]{26}$/)
      expect(lease).toMatchObject({
        metadata: {
          namespace: 'kube-system',
          labels: { 'apiserver.kubernetes.io/identity': 'kube-apiserver', 'kubernetes.io/hostname': expect.any(String) }
        },
        spec: {
          leaseDurationSeconds: 3600,
          renewTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
        }
      })
      expect(lease.spec.holderIdentity).toMatch(new RegExp(`^${lease.metadata.name}_[0-9a-f-]{36}$`))
      expect(await samples(subject(), configured)).toEqual([
        {
          labels: { apiserver_id_hash: idHash(lease), hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
          value: 1
        }
      ])
    })

    test('that is listed in other forms too, and under its label alone', async () => {
      const own = await ownLease()
      const table = await get(`${identityLeases}&includeObject=None`, { accept: accept.table })
      expect(table.body).toMatchObject({
        kind: 'Table',
        rows: [{ cells: [own.metadata.name, own.spec.holderIdentity, expect.any(String)], object: null }]
      })
      const metadata = await get(identityLeases, { accept: accept.metadataList })
      expect(metadata.body).toMatchObject({ items: [{ metadata: own.metadata }] })
      const others = await get(`${leases}?labelSelector=apiserver.kubernetes.io/identity%3Dsomebody-else`)
      expect(others.body).toMatchObject({ items: [] })
    })

    test('that they renew about every 10 s', async () => {
      const before = await ownLease()
      const renewed = async (): Promise<Lease | undefined> =>
        (await listLeases()).find((lease) => idHash(lease) === idHash(before) && renewal(lease) > renewal(before))
      await eventually(async () => (await renewed()) !== undefined)
      const after = await renewed()
      expect(renewal(after ?? before) - renewal(before)).toBeGreaterThan(9_000)
      expect(renewal(after ?? before) - renewal(before)).toBeLessThan(12_000)
      expect(after?.spec.holderIdentity).toBe(before.spec.holderIdentity)
    }, 30_000)

    test('that only those see to whom a role is bound', async () => {
      const message =
        'leases.coordination.k8s.io is forbidden: User "stranger" cannot list resource "leases" in API group "coordination.k8s.io" in the namespace "kube-system"'
      expect(await get(identityLeases, { token: tokens.stranger })).toEqual({
        status: 403,
        body: failure(403, 'Forbidden', message, { group: 'coordination.k8s.io', kind: 'leases' })
      })
    })
  })

  describe('tell in their metrics', () => {
    test('when they started, by the clock of their answers', async () => {
      const { headers, text } = await overWire({})
      const now = Date.parse(String(headers['date']))
      expect(Math.abs(now - Date.now())).toBeLessThan(5_000)
      const [start] = samplesIn(text, started)
      expect(start?.labels).toEqual({})
      const startedAt = start?.value ?? 0
      expect(startedAt * 1000).toBeLessThan(Date.now())
      expect(startedAt * 1000).toBeGreaterThan(Date.now() - 10 * 60_000)
      expect(Math.abs(Number(headers['process-start-time-unix']) - startedAt)).toBeLessThan(5)
    })

    test('packed with gzip to whom that suits', async () => {
      const plain = await overWire({ 'accept-encoding': 'identity' })
      expect(plain.headers['content-encoding']).toBeUndefined()
      const packed = await overWire({ accept: 'text/plain', 'accept-encoding': 'gzip' })
      expect(packed.headers['content-encoding']).toBe('gzip')
      expect(packed.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4; charset=utf-8(;|$)/)
      expect(packed.headers['content-type']).toBe(plain.headers['content-type'])
      expect(samplesIn(gunzipSync(packed.bytes).toString(), started)).toEqual(samplesIn(plain.text, started))
    })

    const prefixes = async (type: 'to_storage' | 'from_storage'): Promise<unknown> =>
      Object.fromEntries(
        (await samples(subject(), operations))
          .filter(({ labels }) => labels['transformation_type'] === type && labels['status'] === 'OK')
          .map(({ labels, value }) => [labels['transformer_prefix'], value])
      )

    test('the writes and reads of Secrets without encryption', async () => {
      await subject().controlPlane.roll([{ kind: 'identity' }])
      const path = await plant(subject(), namespace, 'plain')
      await get(path)
      expect(await prefixes('to_storage')).toEqual({ '': 1 })
      expect(await prefixes('from_storage')).toEqual({ identity: expect.any(Number) })
    }, 60_000)

    test('those under KMS v1 by the name of its provider, with no word of the key', async () => {
      const keyId = 'https://conformance.vault.azure.net/keys/etcd/7'
      const kms = { kind: 'kms', apiVersion: 'v1', name: 'first', keyId } as const
      await subject().controlPlane.roll([kms, { kind: 'identity' }])
      const path = await plant(subject(), namespace, 'wrapped')
      await get(path)
      expect(await prefixes('to_storage')).toEqual({ 'k8s:enc:kms:v1:first:': 1 })
      expect(await prefixes('from_storage')).toMatchObject({ 'k8s:enc:kms:v1:first:': expect.any(Number) })
      expect(await samples(subject(), 'apiserver_envelope_encryption_key_id_hash_total')).toEqual([])
      expect(
        await samples(subject(), 'apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds')
      ).toEqual([])
      await subject().controlPlane.request('DELETE', path)
      await subject().controlPlane.roll([{ kind: 'identity' }])
    }, 90_000)
  })

  describe('started anew', () => {
    let before: Lease
    let startedBefore: number | undefined
    let rolledAt: number

    beforeAll(async () => {
      const path = await plant(subject(), namespace, 'rolled')
      before = await ownLease()
      startedBefore = (await samples(subject(), started))[0]?.value
      await subject().controlPlane.request('PATCH', path, { metadata: { labels: { a: 'b' } } })
      await subject().controlPlane.roll([{ kind: 'identity' }])
      rolledAt = Date.now()
    }, 60_000)

    test('are others, with a Lease of their own', async () => {
      const after = await ownLease()
      expect(after.metadata.name).not.toBe(before.metadata.name)
      expect(after.spec.holderIdentity).not.toBe(before.spec.holderIdentity)
      const [start] = await samples(subject(), started)
      expect(start?.value).toBeGreaterThan(startedBefore ?? Infinity)
    })

    test('have written nothing yet', async () => {
      const written = (await samples(subject(), operations)).filter(
        ({ labels }) => labels['transformation_type'] === 'to_storage'
      )
      expect(written).toEqual([])
    })

    /** Told to end, an API server deletes it if it is given the time; killed, it does not. */
    test('leave the Lease of before behind at most, and never renew it', async () => {
      await ownLease()
      const left = (await listLeases()).filter((lease) => idHash(lease) === idHash(before))
      expect(left.length).toBeLessThanOrEqual(1)
      for (const lease of left) expect(renewal(lease)).toBeLessThan(rolledAt)
    })
  })

  describe('asked to write a Secret again', () => {
    const kms = {
      kind: 'kms',
      apiVersion: 'v2',
      name: 'slot0',
      keyId: 'https://conformance.vault.azure.net/keys/etcd/8'
    } as const
    const query = '?includeObject=None'
    let path: string

    const revision = async (): Promise<number | undefined> =>
      (await subject().controlPlane.storedSecrets()).find(
        (secret) => secret.namespace === namespace && secret.name === 'stale'
      )?.revision
    const patch = async (body: unknown, contentType: string, more = ''): Promise<{ status: number; body: unknown }> =>
      call(subject(), 'PATCH', `${path}${query}${more}`, { body, contentType, accept: accept.table })
    const testOf = (version: number): unknown => [
      { op: 'test', path: '/metadata/resourceVersion', value: String(version) }
    ]
    const jsonPatch = 'application/json-patch+json'

    beforeAll(async () => {
      path = await plant(subject(), namespace, 'stale')
      await subject().controlPlane.roll([kms, { kind: 'identity' }])
    }, 60_000)

    test('in a dry run only, tell at what version it is and leave it there', async () => {
      const before = await revision()
      const answer = await patch({}, mergePatch, '&dryRun=All')
      expect(answer).toMatchObject({ status: 200, body: { metadata: { resourceVersion: String(before) } } })
      expect(await revision()).toBe(before)
    })

    test('at a version at which it no longer is, refuse and leave it alone', async () => {
      const before = (await revision()) ?? 0
      const message = 'the server rejected our request due to an error in our request'
      expect(await patch(testOf(before - 1), jsonPatch)).toEqual({
        status: 422,
        body: failure(422, 'Invalid', message, {})
      })
      expect(await revision()).toBe(before)
    })

    test('at the version at which it is, do so once', async () => {
      const before = (await revision()) ?? 0
      const answer = await patch(testOf(before), jsonPatch)
      const after = (await revision()) ?? 0
      expect(answer).toMatchObject({ status: 200, body: { metadata: { resourceVersion: String(after) } } })
      expect(after).toBeGreaterThan(before)
      expect(await patch(testOf(after), jsonPatch)).toMatchObject({ status: 200 })
      expect(await revision()).toBe(after)
      await subject().controlPlane.request('DELETE', path)
      await subject().controlPlane.roll([{ kind: 'identity' }])
    }, 60_000)
  })
}
