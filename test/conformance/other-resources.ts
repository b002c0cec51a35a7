import { describe, expect, test } from '@jest/globals'

import { accept, mergePatch } from './media-types.ts'
import { call, failure, plant, revisionOf, type Answer, type Subject } from './subject.ts'

interface Collection {
  readonly path: string
  /** As errors name it, and their details. */
  readonly qualified: string
  readonly details: object
  readonly object: (name: string, content: string) => object
}

const configMaps: Collection = {
  path: '/api/v1/namespaces/kube-system/configmaps',
  qualified: 'configmaps',
  details: { kind: 'configmaps' },
  object: (name, content) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { content } })
}

const leases: Collection = {
  path: '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases',
  qualified: 'leases.coordination.k8s.io',
  details: { group: 'coordination.k8s.io', kind: 'leases' },
  object: (name, content) => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name },
    spec: {
      holderIdentity: content,
      leaseDurationSeconds: 30,
      acquireTime: '2026-01-02T03:04:05.000000Z',
      renewTime: '2026-01-02T03:04:05.678901Z',
      leaseTransitions: 0
    }
  })
}

/** ConfigMaps and Leases, which hold record and lock, and namespaces. */
export function otherResourcesConform(subject: () => Subject): void {
  describe.each([
    ['ConfigMaps', configMaps],
    ['Leases', leases]
  ])('%s', (_, { path, qualified, details, object }) => {
    const name = 'kms-conformance'
    const one = `${path}/${name}`
    const notFound = failure(404, 'NotFound', `${qualified} "${name}" not found`, { name, ...details })
    const conflict = failure(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${qualified} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
      { name, ...details }
    )
    const put = (body: unknown): Promise<Answer> => call(subject(), 'PUT', one, { body })

    test('are created once, replaced by who knows the present one, patched, and deleted', async () => {
      expect(await call(subject(), 'GET', one)).toEqual({ status: 404, body: notFound })
      const created = await call(subject(), 'POST', path, { body: object(name, 'first') })
      expect(created.status).toBe(201)
      expect(created.body).toEqual({
        ...object(name, 'first'),
        metadata: {
          name,
          namespace: 'kube-system',
          uid: expect.any(String),
          resourceVersion: expect.any(String),
          creationTimestamp: expect.any(String)
        }
      })
      expect(await call(subject(), 'POST', path, { body: object(name, 'again') })).toEqual({
        status: 409,
        body: failure(409, 'AlreadyExists', `${qualified} "${name}" already exists`, { name, ...details })
      })

      const { metadata } = created.body as { readonly metadata: object }
      const second = await put({ ...object(name, 'second'), metadata })
      expect(second.status).toBe(200)
      expect(revisionOf(second)).toBeGreaterThan(revisionOf(created))
      expect(await put({ ...object(name, 'late'), metadata })).toEqual({ status: 409, body: conflict })
      expect(await put(second.body)).toEqual(second)

      const patched = await call(subject(), 'PATCH', one, {
        body: { metadata: { labels: { a: 'b' } } },
        contentType: mergePatch
      })
      expect(patched.body).toMatchObject({ metadata: { labels: { a: 'b' } } })
      const stale = { metadata: { resourceVersion: String(revisionOf(created)) } }
      expect(await call(subject(), 'PATCH', one, { body: stale, contentType: mergePatch })).toEqual({
        status: 409,
        body: conflict
      })

      const outdated = { preconditions: { resourceVersion: String(revisionOf(created)) } }
      expect(await call(subject(), 'DELETE', one, { body: outdated })).toMatchObject({
        status: 409,
        body: { reason: 'Conflict' }
      })
      expect(await call(subject(), 'DELETE', one)).toMatchObject({
        status: 200,
        body: { status: 'Success', details: { name, ...details } }
      })
      expect(await call(subject(), 'DELETE', one)).toEqual({ status: 404, body: notFound })
      expect(await call(subject(), 'PATCH', one, { body: {}, contentType: mergePatch })).toEqual({
        status: 404,
        body: notFound
      })
    })
  })

  test('a PUT of a ConfigMap without resourceVersion overwrites; of one that is not there, it finds nothing', async () => {
    const path = `${configMaps.path}/overwritten`
    expect(await call(subject(), 'PUT', path, { body: configMaps.object('overwritten', 'x') })).toMatchObject({
      status: 404
    })
    await call(subject(), 'POST', configMaps.path, { body: configMaps.object('overwritten', 'x') })
    const answer = await call(subject(), 'PUT', path, { body: configMaps.object('overwritten', 'y') })
    expect(answer).toMatchObject({ status: 200, body: { data: { content: 'y' } } })
    await call(subject(), 'DELETE', path)
  })

  test('a PUT of a Lease without resourceVersion creates it once and never overwrites it', async () => {
    const path = `${leases.path}/put`
    const put = (body: object): Promise<Answer> => call(subject(), 'PUT', path, { body })
    const created = await put(leases.object('put', 'x'))
    expect(created).toMatchObject({ status: 201, body: { spec: { holderIdentity: 'x' } } })
    const message = 'Invalid value: 0: must be specified for an update'
    expect(await put(leases.object('put', 'y'))).toEqual({
      status: 422,
      body: failure(
        422,
        'Invalid',
        `leases.coordination.k8s.io "put" is invalid: metadata.resourceVersion: ${message}`,
        {
          name: 'put',
          ...leases.details,
          causes: [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }]
        }
      )
    })
    await call(subject(), 'DELETE', path)
    const gone = await put(created.body as object)
    expect(gone).toMatchObject({ status: 409, body: { reason: 'Conflict' } })
  })

  test.each([
    ['2026-01-02T03:04:05Z', '"Z"'],
    ['2026-01-02T03:04:05.678Z', '".678Z"']
  ])('a Lease is renewed at a time with six decimals, not at %s', async (renewTime, rest) => {
    const { spec } = leases.object('times', 'x') as { readonly spec: object }
    const answer = await call(subject(), 'POST', leases.path, {
      body: { ...leases.object('times', 'x'), spec: { ...spec, renewTime } }
    })
    const message = `Lease in version "v1" cannot be handled as a Lease: parsing time "${renewTime}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ${rest} as ".000000"`
    expect(answer).toEqual({ status: 400, body: failure(400, 'BadRequest', message) })
  })

  test('a Lease lasts', async () => {
    const message = 'Invalid value: 0: must be greater than 0'
    const body = { ...leases.object('lasting', 'x'), spec: { holderIdentity: 'x', leaseDurationSeconds: 0 } }
    expect(await call(subject(), 'POST', leases.path, { body })).toEqual({
      status: 422,
      body: failure(
        422,
        'Invalid',
        `Lease.coordination.k8s.io "lasting" is invalid: spec.leaseDurationSeconds: ${message}`,
        {
          name: 'lasting',
          group: 'coordination.k8s.io',
          kind: 'Lease',
          causes: [{ reason: 'FieldValueInvalid', message, field: 'spec.leaseDurationSeconds' }]
        }
      )
    })
  })

  describe('namespaces', () => {
    const path = '/api/v1/namespaces'

    test('are listed in pages and in every form', async () => {
      const first = await call(subject(), 'GET', `${path}?limit=1&includeObject=None`, { accept: accept.table })
      expect(first.body).toMatchObject({
        kind: 'Table',
        metadata: { continue: expect.any(String), remainingItemCount: expect.any(Number) },
        rows: [{ cells: [expect.any(String), 'Active', expect.any(String)], object: null }]
      })
      const all = await call(subject(), 'GET', path, { accept: accept.metadataList })
      const { items } = all.body as { readonly items: readonly { readonly metadata: { readonly name: string } }[] }
      expect(items.map(({ metadata }) => metadata.name)).toEqual(
        expect.arrayContaining(['default', 'kube-public', 'kube-system'])
      )
    })

    test('are made active, once', async () => {
      const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'made' } }
      expect(await call(subject(), 'POST', path, { body })).toMatchObject({
        status: 201,
        body: {
          metadata: { name: 'made', labels: { 'kubernetes.io/metadata.name': 'made' } },
          spec: { finalizers: ['kubernetes'] },
          status: { phase: 'Active' }
        }
      })
      expect(await call(subject(), 'POST', path, { body })).toEqual({
        status: 409,
        body: failure(409, 'AlreadyExists', 'namespaces "made" already exists', { name: 'made', kind: 'namespaces' })
      })
    })

    test('are not found where they are not', async () => {
      const body = failure(404, 'NotFound', 'namespaces "nowhere" not found', { name: 'nowhere', kind: 'namespaces' })
      expect(await call(subject(), 'GET', `${path}/nowhere`)).toEqual({ status: 404, body })
    })

    test('of the system stay', async () => {
      const body = failure(403, 'Forbidden', 'namespaces "default" is forbidden: this namespace may not be deleted', {
        name: 'default',
        kind: 'namespaces'
      })
      expect(await call(subject(), 'DELETE', `${path}/default`)).toEqual({ status: 403, body })
    })

    test('terminate', async () => {
      await plant(subject(), 'ending', 'inside')
      expect(await call(subject(), 'DELETE', `${path}/ending`)).toMatchObject({
        status: 200,
        body: {
          kind: 'Namespace',
          metadata: { name: 'ending', deletionTimestamp: expect.any(String) },
          status: { phase: 'Terminating' }
        }
      })
    })
  })
}
