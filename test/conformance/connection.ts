import { connect } from 'node:tls'

import { expect, test } from '@jest/globals'

import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import { overHttp1, overHttp2 } from './client.ts'
import { call, failure, plant, tokens, type Subject } from './subject.ts'

/** TLS, HTTP versions, who is let in, and paths outside of resources. */
export function connectionConforms(subject: () => Subject): void {
  test('TLS offers h2 first and HTTP/1.1 too, under a certificate for the address', async () => {
    const { server, certificateAuthority } = subject().controlPlane
    const port = Number(new URL(server).port)
    const negotiated = (protocols: string[]): Promise<string | false | null> =>
      new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port, ca: certificateAuthority, ALPNProtocols: protocols }
        const socket = connect(options, () => {
          resolve(socket.alpnProtocol)
          socket.end()
        })
        socket.on('error', reject)
      })
    expect(await negotiated(['http/1.1', 'h2'])).toBe('h2')
    expect(await negotiated(['http/1.1'])).toBe('http/1.1')
  })

  test('both versions of HTTP give the same answer', async () => {
    const path = await plant(subject(), 'connection', 'both')
    const request = { path, token: tokens.operator, headers: { 'user-agent': 'conformance' } }
    const [first, second] = [
      await overHttp1(subject().controlPlane, request),
      await overHttp2(subject().controlPlane, request)
    ]
    expect(first.status).toBe(200)
    expect(second.status).toBe(200)
    expect(second.text).toBe(first.text)
    for (const { headers } of [first, second]) {
      expect(headers['content-type']).toBe('application/json')
      expect(headers['cache-control']).toBe('no-cache, private')
      expect(headers['audit-id']).toMatch(/^[0-9a-f-]{36}$/)
    }
  })

  test.each(['/api/v1/secrets', '/version', '/readyz', '/nowhere'])(
    '%s refuses a token that belongs to nobody',
    async (path) => {
      const answer = await call(subject(), 'GET', path, { token: tokens.unknown })
      expect(answer).toEqual({ status: 401, body: failure(401, 'Unauthorized', 'Unauthorized') })
    }
  )

  test('a client certificate counts if the authority of the control plane signed it', async () => {
    const { controlPlane } = subject()
    const { adminCertificate } = controlPlane
    const path = '/api/v1/secrets'
    expect((await overHttp1(controlPlane, { path, clientCertificate: adminCertificate })).status).toBe(200)

    const other = await createCertificateAuthority()
    const forged = await other.issue({ hosts: [], commonName: 'admin', organizations: ['system:masters'] })
    const refused = await overHttp1(controlPlane, { path, clientCertificate: forged })
    expect(refused.status).toBe(401)
    expect(JSON.parse(refused.text)).toEqual(failure(401, 'Unauthorized', 'Unauthorized'))
    const token = tokens.operator
    expect((await overHttp1(controlPlane, { path, clientCertificate: forged, token })).status).toBe(200)
  })

  test('who brings no credential is anonymous', async () => {
    const { status, text } = await overHttp1(subject().controlPlane, { path: '/api/v1/secrets' })
    expect(status).toBe(403)
    expect(JSON.parse(text)).toEqual(
      failure(
        403,
        'Forbidden',
        'secrets is forbidden: User "system:anonymous" cannot list resource "secrets" in API group "" at the cluster scope',
        { kind: 'secrets' }
      )
    )
  })

  const secret = '/api/v1/namespaces/connection/secrets/both'
  const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lock'
  test.each([
    [
      'GET',
      '/api/v1/secrets',
      'secrets is forbidden: User "stranger" cannot list resource "secrets" in API group "" at the cluster scope',
      { kind: 'secrets' }
    ],
    [
      'GET',
      secret,
      'secrets "both" is forbidden: User "stranger" cannot get resource "secrets" in API group "" in the namespace "connection"',
      { name: 'both', kind: 'secrets' }
    ],
    [
      'PATCH',
      secret,
      'secrets "both" is forbidden: User "stranger" cannot patch resource "secrets" in API group "" in the namespace "connection"',
      { name: 'both', kind: 'secrets' }
    ],
    [
      'GET',
      '/api/v1/namespaces/connection',
      'namespaces "connection" is forbidden: User "stranger" cannot get resource "namespaces" in API group "" in the namespace "connection"',
      { name: 'connection', kind: 'namespaces' }
    ],
    [
      'PUT',
      lease,
      'leases.coordination.k8s.io "lock" is forbidden: User "stranger" cannot update resource "leases" in API group "coordination.k8s.io" in the namespace "kube-system"',
      { name: 'lock', group: 'coordination.k8s.io', kind: 'leases' }
    ],
    ['GET', '/metrics', 'forbidden: User "stranger" cannot get path "/metrics"', {}],
    ['GET', '/nowhere', 'forbidden: User "stranger" cannot get path "/nowhere"', {}]
  ])('%s %s is forbidden to whom no role is bound', async (method, path, message, details) => {
    const answer = await call(subject(), method, path, { token: tokens.stranger })
    expect(answer).toEqual({ status: 403, body: failure(403, 'Forbidden', message, details) })
  })

  test.each(['/readyz', '/livez', '/healthz'])('%s says ok to everybody', async (path) => {
    expect(await call(subject(), 'GET', path, { token: tokens.stranger })).toEqual({ status: 200, body: 'ok' })
  })

  test('/version says which Kubernetes it is', async () => {
    const { status, body } = await call(subject(), 'GET', '/version', { token: tokens.stranger })
    expect(status).toBe(200)
    expect(body).toMatchObject({ major: '1', minor: '36', gitVersion: expect.stringMatching(/^v1\.36\.\d+$/) })
  })

  test.each(['/nowhere', '/apis/nowhere.example/v1/things'])('%s is no API', async (path) => {
    expect(await call(subject(), 'GET', path)).toEqual({ status: 404, body: '404 page not found\n' })
  })

  test.each(['/api/v1/nowhere', '/api/v1/namespaces/connection/nowhere', `${secret}/nowhere`])(
    '%s is no resource',
    async (path) => {
      const body = failure(404, 'NotFound', 'the server could not find the requested resource', {})
      expect(await call(subject(), 'GET', path)).toEqual({ status: 404, body })
    }
  )

  const review = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
  test.each([
    ['operator', { resourceAttributes: { verb: 'list', resource: 'namespaces' } }, true],
    ['operator', { resourceAttributes: { verb: 'list', resource: 'secrets' } }, true],
    ['operator', { resourceAttributes: { verb: 'patch', resource: 'secrets' } }, true],
    ['stranger', { resourceAttributes: { verb: 'list', resource: 'namespaces' } }, false],
    ['stranger', { resourceAttributes: { verb: 'list', resource: 'secrets' } }, false],
    ['operator', { nonResourceAttributes: { verb: 'get', path: '/metrics' } }, true],
    ['stranger', { resourceAttributes: { verb: 'patch', resource: 'secrets' } }, false],
    ['stranger', { nonResourceAttributes: { verb: 'get', path: '/metrics' } }, false]
  ] as const)('the %s learns that %j is allowed: %s', async (who, spec, allowed) => {
    const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec }
    // The group and the namespace of a review may be named as empty, too.
    const attributes =
      'resourceAttributes' in spec ? { group: '', namespace: '', ...spec.resourceAttributes } : undefined
    const named = attributes === undefined ? body : { ...body, spec: { resourceAttributes: attributes } }
    const answer = await call(subject(), 'POST', review, { body: named, token: tokens[who] })
    expect(answer.status).toBe(201)
    expect(answer.body).toEqual({ ...body, metadata: expect.anything(), status: expect.objectContaining({ allowed }) })
    expect(answer.body).not.toHaveProperty('status.evaluationError')
  })

  test('whoever signed in may ask for an access review, and nobody else', async () => {
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'list', resource: 'secrets' } }
    }
    expect((await call(subject(), 'POST', review, { body, token: tokens.unknown })).status).toBe(401)
    const anonymous = await overHttp1(subject().controlPlane, {
      method: 'POST',
      path: review,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })
    expect(anonymous.status).toBe(403)
  })

  test('an access review asks about something', async () => {
    const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: {} }
    const answer = await call(subject(), 'POST', review, { body })
    expect(answer.status).toBe(422)
    expect(answer.body).toMatchObject({ reason: 'Invalid', details: { group: 'authorization.k8s.io' } })
  })
}
