import { beforeAll, expect, test } from '@jest/globals'

import { accept, mergePatch } from './media-types.ts'
import { call, failure, plant, revisionOf, type Answer, type Subject } from './subject.ts'

const namespace = 'secrets-conform'
const collection = `/api/v1/namespaces/${namespace}/secrets`
const notFound = (name: string): object =>
  failure(404, 'NotFound', `secrets "${name}" not found`, { name, kind: 'secrets' })
const conflict = (name: string): object =>
  failure(
    409,
    'Conflict',
    `Operation cannot be fulfilled on secrets "${name}": the object has been modified; please apply your changes to the latest version and try again`,
    { name, kind: 'secrets' }
  )

/** Reading, patching and writing Secrets: forms, status codes, `Status` bodies, resourceVersions. */
export function secretsConform(subject: () => Subject): void {
  let path: string
  beforeAll(async () => {
    path = await plant(subject(), namespace, 'plain', { metadata: { name: 'plain', labels: { app: 'x' } } })
    await plant(subject(), namespace, 'sealed', { immutable: true, data: { a: 'MQ==', b: 'Mg==' } })
  })

  const patch = (
    on: string,
    body: unknown = {},
    how: { accept?: string; contentType?: string } = {}
  ): Promise<Answer> => call(subject(), 'PATCH', on, { body, contentType: mergePatch, ...how })

  // Reading

  test('a Secret is read whole', async () => {
    const { status, body } = await call(subject(), 'GET', path)
    expect(status).toBe(200)
    expect(body).toEqual({
      kind: 'Secret',
      apiVersion: 'v1',
      metadata: {
        name: 'plain',
        namespace,
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        resourceVersion: expect.stringMatching(/^\d+$/),
        creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        labels: { app: 'x' }
      },
      data: { password: 'aHVudGVyMg==' },
      type: 'Opaque'
    })
  })

  test('a Table without objects tells nothing but name, type, count and age, and the resourceVersion of the Secret', async () => {
    const whole = await call(subject(), 'GET', path)
    const table = await call(subject(), 'GET', `${path}?includeObject=None`, { accept: accept.table })
    expect(table).toEqual({
      status: 200,
      body: {
        kind: 'Table',
        apiVersion: 'meta.k8s.io/v1',
        metadata: { resourceVersion: String(revisionOf(whole)) },
        columnDefinitions: [
          { name: 'Name', type: 'string', format: 'name', description: expect.any(String), priority: 0 },
          { name: 'Type', type: 'string', format: '', description: expect.any(String), priority: 0 },
          { name: 'Data', type: 'string', format: '', description: expect.any(String), priority: 0 },
          { name: 'Age', type: 'string', format: '', description: expect.any(String), priority: 0 }
        ],
        rows: [{ cells: ['plain', 'Opaque', 1, expect.stringMatching(/^\d+(s|m\d+s|m)$/)], object: null }]
      }
    })
  })

  test('the descriptions of the columns are long: they make most of an answer', async () => {
    const { body } = await call(subject(), 'GET', `${path}?includeObject=None`, { accept: accept.table })
    const { columnDefinitions } = body as { readonly columnDefinitions: readonly { readonly description: string }[] }
    expect(columnDefinitions.map(({ description }) => description.length)).toEqual([373, 138, 289, 412])
  })

  test.each([
    ['', 'PartialObjectMetadata'],
    ['?includeObject=Metadata', 'PartialObjectMetadata'],
    ['?includeObject=Object', 'Secret']
  ])('a Table with the query %j has rows with %s', async (query, kind) => {
    const { body } = await call(subject(), 'GET', path + query, { accept: accept.table })
    expect(body).toMatchObject({ rows: [{ object: { kind, metadata: { name: 'plain', labels: { app: 'x' } } } }] })
  })

  test('a Table with an unknown includeObject is refused', async () => {
    const message =
      "Unable to convert to Table as requested: includeObject: Invalid value: \"Some\": must be 'Metadata', 'Object', 'None', or empty"
    const answer = await call(subject(), 'GET', `${path}?includeObject=Some`, { accept: accept.table })
    expect(answer).toEqual({ status: 400, body: failure(400, 'BadRequest', message) })
  })

  test('metadata alone has labels and annotations, and neither type nor data', async () => {
    const { status, body } = await call(subject(), 'GET', path, { accept: accept.metadata })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { labels: { app: 'x' } }
    })
    expect(Object.keys(body as object).sort()).toEqual(['apiVersion', 'kind', 'metadata'])
  })

  test('a list as a Table has the resourceVersion of the list and a row for each', async () => {
    const answer = await call(subject(), 'GET', `${collection}?includeObject=None`, { accept: accept.table })
    const { body } = answer
    expect(body).toMatchObject({
      kind: 'Table',
      rows: [
        { cells: ['plain', 'Opaque', 1, expect.any(String)], object: null },
        { cells: ['sealed', 'Opaque', 2, expect.any(String)], object: null }
      ]
    })
    expect(revisionOf(answer)).toBeGreaterThanOrEqual(revisionOf(await call(subject(), 'GET', path)))
  })

  test('a list of metadata has items of their own kind, a plain list has items without one', async () => {
    const metadata = await call(subject(), 'GET', collection, { accept: accept.metadataList })
    expect(metadata.body).toMatchObject({
      kind: 'PartialObjectMetadataList',
      items: [{ kind: 'PartialObjectMetadata', metadata: { name: 'plain' } }, { metadata: { name: 'sealed' } }]
    })
    const plain = await call(subject(), 'GET', collection)
    expect(plain.body).toMatchObject({
      kind: 'SecretList',
      apiVersion: 'v1',
      items: [{ data: {} }, { immutable: true }]
    })
    const [first] = (plain.body as { readonly items: readonly object[] }).items
    expect(Object.keys(first ?? {}).sort()).toEqual(['data', 'metadata', 'type'])
  })

  test('labels and fields select', async () => {
    const names = async (query: string): Promise<unknown> => {
      const { body } = await call(subject(), 'GET', `${collection}?${query}`)
      return (body as { readonly items: readonly { readonly metadata: { readonly name: string } }[] }).items.map(
        ({ metadata }) => metadata.name
      )
    }
    expect(await names('labelSelector=app%3Dx')).toEqual(['plain'])
    expect(await names('labelSelector=app%21%3Dx')).toEqual(['sealed'])
    expect(await names('fieldSelector=metadata.name%3Dsealed')).toEqual(['sealed'])
    expect(await names('fieldSelector=type%3DOpaque')).toEqual(['plain', 'sealed'])
  })

  test('in a namespace that does not exist there are no Secrets, and that is no error', async () => {
    const list = await call(subject(), 'GET', '/api/v1/namespaces/no-such-namespace/secrets?includeObject=None', {
      accept: accept.table
    })
    expect(list.status).toBe(200)
    expect(list.body).toMatchObject({ kind: 'Table', rows: [] })
    const one = await call(subject(), 'GET', '/api/v1/namespaces/no-such-namespace/secrets/x')
    expect(one).toEqual({ status: 404, body: notFound('x') })
  })

  const refusedForm =
    'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf'
  const refusedType =
    '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf'
  test.each([
    [
      'GET',
      'one',
      accept.metadataList,
      'you requested PartialObjectMetadataList, but the requested object is not a list (*core.Secret)',
      undefined
    ],
    [
      'PATCH',
      'one',
      accept.metadataList,
      'you requested PartialObjectMetadataList, but the requested object is not a list (*core.Secret)',
      undefined
    ],
    [
      'GET',
      'all',
      accept.metadata,
      'you requested PartialObjectMetadata, but the requested object is a list (*core.SecretList)',
      undefined
    ],
    ['GET', 'one', accept.as('Picture'), refusedForm, undefined],
    ['GET', 'all', accept.as('Picture'), refusedForm, undefined],
    ['GET', 'one', 'application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1', refusedForm, undefined],
    ['GET', 'one', 'application/json;as=Table;v=v1', refusedForm, undefined],
    ['GET', 'one', 'application/json;as=Table;g=meta.k8s.io', refusedForm, undefined],
    ['GET', 'one', 'text/html', refusedType, {}],
    ['GET', 'one', 'application/*', refusedType, {}]
  ])('%s of %s as %s can not be served', async (method, what, wanted, message, details) => {
    const about = method === 'PATCH' ? { accept: wanted, body: {}, contentType: mergePatch } : { accept: wanted }
    const answer = await call(subject(), method, what === 'one' ? path : collection, about)
    expect(answer).toEqual({ status: 406, body: failure(406, 'NotAcceptable', message, details) })
  })

  test.each([
    ['*/*', 'Secret'],
    ['application/xml, application/json;q=0.5', 'Secret'],
    [`${accept.table};q=0.5,application/json`, 'Secret'],
    [`${accept.table},application/json`, 'Table'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io', 'Table']
  ])('Accept %s gives a %s', async (wanted, kind) => {
    const { status, body } = await call(subject(), 'GET', path, { accept: wanted })
    expect(status).toBe(200)
    expect(body).toMatchObject({ kind })
  })

  // Patching

  test.each([mergePatch, 'application/strategic-merge-patch+json'])(
    'an empty patch (%s) of a current Secret writes nothing',
    async (contentType) => {
      const before = await call(subject(), 'GET', path)
      const answer = await patch(`${path}?includeObject=None`, {}, { accept: accept.table, contentType })
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({
        kind: 'Table',
        rows: [{ cells: ['plain', 'Opaque', 1, expect.any(String)], object: null }]
      })
      expect(revisionOf(answer)).toBe(revisionOf(before))
      expect(await call(subject(), 'GET', path)).toEqual(before)
    }
  )

  test('an empty JSON patch writes nothing either', async () => {
    const before = await call(subject(), 'GET', path)
    const answer = await patch(path, [], { contentType: 'application/json-patch+json' })
    expect(answer).toEqual(before)
  })

  test('an empty patch of an immutable Secret passes; a change of it does not', async () => {
    const sealed = `${collection}/sealed`
    const before = await call(subject(), 'GET', sealed)
    expect(await patch(sealed)).toEqual(before)
    const message = 'Forbidden: field is immutable when `immutable` is set'
    for (const [field, change] of [
      ['data', { data: { a: 'Mw==' } }],
      ['immutable', { immutable: false }]
    ] as const) {
      expect(await patch(sealed, change)).toEqual({
        status: 422,
        body: failure(422, 'Invalid', `Secret "sealed" is invalid: ${field}: ${message}`, {
          name: 'sealed',
          kind: 'Secret',
          causes: [{ reason: 'FieldValueForbidden', message, field }]
        })
      })
    }
  })

  test('a patch that changes something writes once, and the answer has the new resourceVersion', async () => {
    const changing = await plant(subject(), namespace, 'changing', { data: { a: 'MQ==', b: 'Mg==' } })
    const before = await call(subject(), 'GET', changing)
    const answer = await patch(changing, {
      metadata: { labels: { x: 'y' } },
      data: { b: null, c: 'Mw==' },
      stringData: { d: '4' }
    })
    expect(answer.body).toMatchObject({ metadata: { labels: { x: 'y' } }, data: { a: 'MQ==', c: 'Mw==', d: 'NA==' } })
    expect(Object.keys((answer.body as { data: object }).data)).toEqual(['a', 'c', 'd'])
    expect(revisionOf(answer)).toBeGreaterThan(revisionOf(before))
    expect(await call(subject(), 'GET', changing)).toEqual(answer)
    expect(await patch(changing, { metadata: { labels: { x: 'y' } } })).toEqual(answer)
    await call(subject(), 'DELETE', changing)
  })

  test('patches at the same time lose nothing of each other and conflict with nobody', async () => {
    const contended = await plant(subject(), namespace, 'contended')
    const keys = Array.from({ length: 12 }, (_, index) => `label-${index}`)
    const answers = await Promise.all(keys.map((key) => patch(contended, { metadata: { labels: { [key]: 'set' } } })))
    expect(answers.map(({ status }) => status)).toEqual(keys.map(() => 200))
    const { body } = await call(subject(), 'GET', contended)
    expect(body).toMatchObject({ metadata: { labels: Object.fromEntries(keys.map((key) => [key, 'set'])) } })
    expect(new Set(answers.map(revisionOf)).size).toBe(keys.length)
    await call(subject(), 'DELETE', contended)
  })

  test('a dry run answers and writes nothing', async () => {
    const before = await call(subject(), 'GET', path)
    const answer = await patch(`${path}?dryRun=All`, { data: { b: 'Mg==' } })
    expect(answer.body).toMatchObject({ data: { b: 'Mg==', password: 'aHVudGVyMg==' } })
    expect(revisionOf(answer)).toBe(revisionOf(before))
    expect(await call(subject(), 'GET', path)).toEqual(before)
  })

  test('a patch with a resourceVersion that is not the present one is a conflict', async () => {
    expect(await patch(path, { metadata: { resourceVersion: '1' } })).toEqual({ status: 409, body: conflict('plain') })
  })

  test('a patch with the uid of another Secret is invalid', async () => {
    const { status, body } = await patch(path, { metadata: { uid: 'other' } })
    expect(status).toBe(422)
    expect(body).toMatchObject({
      reason: 'Invalid',
      message: 'Secret "plain" is invalid: metadata.uid: Invalid value: "other": field is immutable'
    })
  })

  test('a patch can not change the type', async () => {
    const message = 'Invalid value: "other": field is immutable'
    expect(await patch(path, { type: 'other' })).toEqual({
      status: 422,
      body: failure(422, 'Invalid', `Secret "plain" is invalid: type: ${message}`, {
        name: 'plain',
        kind: 'Secret',
        causes: [{ reason: 'FieldValueInvalid', message, field: 'type' }]
      })
    })
  })

  test.each(['application/json', 'text/plain'])('a patch of the type %s is not understood', async (contentType) => {
    const answer = await patch(path, {}, { contentType })
    expect(answer).toEqual({
      status: 415,
      body: failure(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {})
    })
  })

  test.each([
    ['{', 'error decoding patch: unexpected end of JSON input'],
    ['[]', 'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}']
  ])('the patch %s is a bad request', async (body, message) => {
    expect(await patch(path, body)).toEqual({ status: 400, body: failure(400, 'BadRequest', message) })
  })

  test.each([namespace, 'no-such-namespace'])(
    'a Secret that is not there (namespace %s) is not found',
    async (where) => {
      const answer = await patch(`/api/v1/namespaces/${where}/secrets/gone`)
      expect(answer).toEqual({ status: 404, body: notFound('gone') })
    }
  )

  test.each([
    ['PATCH', 'collection'],
    ['PUT', 'collection'],
    ['POST', 'object']
  ])('%s of a %s is not allowed', async (method, what) => {
    const contentType = method === 'PATCH' ? mergePatch : 'application/json'
    const answer = await call(subject(), method, what === 'object' ? path : collection, { body: {}, contentType })
    const body = failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})
    expect(answer).toEqual({ status: 405, body })
  })

  // Writing

  test('what exists can not be created again', async () => {
    const body = failure(409, 'AlreadyExists', 'secrets "plain" already exists', { name: 'plain', kind: 'secrets' })
    expect(await call(subject(), 'POST', collection, { body: { metadata: { name: 'plain' } } })).toEqual({
      status: 409,
      body
    })
  })

  test('nothing is created in a namespace that does not exist', async () => {
    const name = 'no-such-namespace'
    const answer = await call(subject(), 'POST', `/api/v1/namespaces/${name}/secrets`, {
      body: { metadata: { name: 'x' } }
    })
    const body = failure(404, 'NotFound', `namespaces "${name}" not found`, { name, kind: 'namespaces' })
    expect(answer).toEqual({ status: 404, body })
  })

  const required = { reason: 'FieldValueRequired', message: 'Required value' }
  const badKey =
    "Invalid value: \"bad key\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or " +
    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
  const badName =
    "Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must " +
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
  test.each([
    [
      { metadata: { name: 'x' }, type: 'kubernetes.io/tls' },
      'Secret "x" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]',
      {
        name: 'x',
        kind: 'Secret',
        causes: [
          { ...required, field: 'data[tls.crt]' },
          { ...required, field: 'data[tls.key]' }
        ]
      }
    ],
    [
      { metadata: { name: 'x' }, type: 'kubernetes.io/dockerconfigjson' },
      'Secret "x" is invalid: data[.dockerconfigjson]: Required value',
      { name: 'x', kind: 'Secret', causes: [{ ...required, field: 'data[.dockerconfigjson]' }] }
    ],
    [
      { metadata: { name: 'x' }, type: 'kubernetes.io/ssh-auth' },
      'Secret "x" is invalid: data[ssh-privatekey]: Required value',
      { name: 'x', kind: 'Secret', causes: [{ ...required, field: 'data[ssh-privatekey]' }] }
    ],
    [
      { metadata: { name: 'x' }, data: { 'bad key': 'MQ==' } },
      `Secret "x" is invalid: data[bad key]: ${badKey}`,
      { name: 'x', kind: 'Secret', causes: [{ reason: 'FieldValueInvalid', message: badKey, field: 'data[bad key]' }] }
    ],
    [
      { metadata: { name: 'Bad_Name' } },
      `Secret "Bad_Name" is invalid: metadata.name: ${badName}`,
      {
        name: 'Bad_Name',
        kind: 'Secret',
        causes: [{ reason: 'FieldValueInvalid', message: badName, field: 'metadata.name' }]
      }
    ],
    [
      { metadata: {} },
      'Secret "" is invalid: metadata.name: Required value: name or generateName is required',
      {
        kind: 'Secret',
        causes: [
          {
            reason: 'FieldValueRequired',
            message: 'Required value: name or generateName is required',
            field: 'metadata.name'
          }
        ]
      }
    ]
  ])('%j is invalid', async (body, message, details) => {
    expect(await call(subject(), 'POST', collection, { body })).toEqual({
      status: 422,
      body: failure(422, 'Invalid', message, details)
    })
  })

  test.each([
    [
      { metadata: { name: 'x', namespace: 'other' } },
      'the namespace of the provided object does not match the namespace sent on the request'
    ],
    [
      { metadata: { name: 'x' }, data: { a: '!' } },
      'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
    ],
    [
      { kind: 'ConfigMap', metadata: { name: 'x' } },
      'ConfigMap in version "v1" cannot be handled as a Secret: converting (v1.ConfigMap) to (core.Secret): unknown conversion'
    ]
  ])('%j is a bad request', async (body, message) => {
    expect(await call(subject(), 'POST', collection, { body })).toEqual({
      status: 400,
      body: failure(400, 'BadRequest', message)
    })
  })

  test('the body of a POST must be of a known type', async () => {
    const message =
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf'
    const answer = await call(subject(), 'POST', collection, { body: {}, contentType: 'text/plain' })
    expect(answer).toEqual({ status: 415, body: failure(415, 'UnsupportedMediaType', message) })
  })

  test('a PUT replaces; under an old resourceVersion it is a conflict; without one it overwrites', async () => {
    const two = { data: { a: 'MQ==', b: 'Mg==' }, metadata: { name: 'replaced', labels: { a: '1', b: '2' } } }
    const replaced = await plant(subject(), namespace, 'replaced', two)
    const before = await call(subject(), 'GET', replaced)
    const put = (body: unknown): Promise<Answer> => call(subject(), 'PUT', replaced, { body })
    expect(await put(before.body)).toEqual(before)
    // The order of keys is no change.
    const { metadata } = before.body as { readonly metadata: object }
    const turned = {
      metadata: { ...metadata, labels: { b: '2', a: '1' } },
      type: 'Opaque',
      data: { b: 'Mg==', a: 'MQ==' }
    }
    expect(await put(turned)).toEqual(before)
    const first = await put({ ...(before.body as object), data: { a: 'MQ==' } })
    expect(first.status).toBe(200)
    expect(revisionOf(first)).toBeGreaterThan(revisionOf(before))
    expect(await put(before.body)).toEqual({ status: 409, body: conflict('replaced') })
    const unconditional = await put({ metadata: { name: 'replaced' }, data: { b: 'Mg==' } })
    expect(unconditional.body).toMatchObject({ data: { b: 'Mg==' }, type: 'Opaque' })
    expect(await put({ metadata: { name: 'other' } })).toEqual({
      status: 400,
      body: failure(400, 'BadRequest', 'the name of the object (other) does not match the name on the URL (replaced)')
    })
    await call(subject(), 'DELETE', replaced)
    expect(await put(before.body)).toEqual({ status: 404, body: notFound('replaced') })
  })

  test('what is deleted is gone for everybody', async () => {
    const doomed = await plant(subject(), namespace, 'doomed')
    expect(await call(subject(), 'DELETE', doomed)).toEqual({
      status: 200,
      body: {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name: 'doomed', kind: 'secrets', uid: expect.any(String) }
      }
    })
    for (const method of ['GET', 'DELETE', 'PATCH']) {
      const about = method === 'PATCH' ? { body: {}, contentType: mergePatch, accept: accept.table } : {}
      expect(await call(subject(), method, doomed, about)).toEqual({ status: 404, body: notFound('doomed') })
    }
  })
}
