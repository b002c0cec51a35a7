import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { createCertificateAuthority } from '../certificate-authority.ts'
import type {
  ControlPlane,
  ControlPlaneOptions,
  EncryptionConfiguration,
  KubernetesUser,
  SeedSecret,
  StoredSecret
} from '../contract.ts'
import { connectAdmin, type AdminClient } from '../control-plane/admin-client.ts'
import { parseStoredValue } from '../etcd/stored-value.ts'
import { denial } from './authorization.ts'
import { startProviders } from './encryption/configuration.ts'
import { Etcd } from './etcd.ts'
import { FaultPlan, type Fault, type Faults, type SeenRequest } from './faults.ts'
import { handle, json, text, type ApiResponse } from './handlers.ts'
import { listen, type Incoming, type Outgoing } from './listener.ts'
import { Metrics } from './metrics.ts'
import { Registry } from './registry.ts'
import { parseRequest } from './request-info.ts'
import { namespaces } from './resources/namespaces.ts'
import { secrets } from './resources/secrets.ts'
import { internalError, StatusError, unauthorized } from './status.ts'

export interface EmbeddedControlPlane extends ControlPlane {
  readonly kind: 'embedded'
  readonly faults: Faults
}

/** One start of the API server: everything that a restart forgets. */
interface Run {
  readonly registry: Registry
  readonly metrics: Metrics
}

/** An API server and its etcd within this process. Speaks the part of the Kubernetes API that the action and its tests need. */
export async function startEmbeddedControlPlane(options: ControlPlaneOptions): Promise<EmbeddedControlPlane> {
  const authority = await createCertificateAuthority()
  const serving = await authority.issue({ hosts: ['127.0.0.1', 'localhost', 'kubernetes'] })
  const adminCertificate = await authority.issue({
    hosts: [],
    commonName: 'kubernetes-admin',
    organizations: ['system:masters']
  })
  const apiServerId = `apiserver-${randomUUID()}`
  const etcd = new Etcd()

  const start = async (encryption: EncryptionConfiguration): Promise<Run> => {
    const metrics = new Metrics(apiServerId)
    const { keyOperations, kmsV1 = false } = options
    const encrypted = await startProviders(encryption, { keyOperations, kmsV1, metrics })
    const registry = new Registry(etcd, encrypted, (place) => faults.admit(place))
    await registry.assertReadable(secrets)
    return { metrics, registry }
  }
  const faults: FaultPlan = new FaultPlan(etcd, () => run.registry)
  let run = await start(options.encryption)
  for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system']) await createNamespace(run, name)

  const listener = await listen({ ...serving, clientAuthority: authority.certificate }, (incoming) => {
    const user = authenticate(incoming, options.authenticateToken)
    serve(incoming, user, () => run, faults).catch(() => incoming.reset())
  })
  const connect = (): AdminClient =>
    connectAdmin(listener.port, { certificateAuthority: authority.certificate, ...adminCertificate })
  let admin = connect()

  return {
    kind: 'embedded',
    server: `https://127.0.0.1:${listener.port}`,
    certificateAuthority: authority.certificate,
    adminCertificate,
    faults,
    request: (...about) => admin.request(...about),
    // Where the next run can't start, the present one goes on.
    async roll(encryption) {
      const next = await start(encryption)
      run.registry.retire()
      run = next
      listener.dropConnections()
      admin.close()
      admin = connect()
    },
    storedSecrets: () => Promise.resolve(readStoredSecrets(etcd)),
    seed: (seeds) => seed(run, seeds),
    async stop() {
      admin.close()
      await listener.close()
    }
  }
}

const anonymous: KubernetesUser = { username: 'system:anonymous', groups: ['system:unauthenticated'] }

/** Undefined is a 401: a token that belongs to nobody. Who brings none at all is nobody in particular. */
function authenticate(
  { header, certificateUser }: Incoming,
  authenticateToken: ControlPlaneOptions['authenticateToken']
): KubernetesUser | undefined {
  const token = /^Bearer +(.+)$/i.exec(header('authorization'))?.[1]
  if (certificateUser !== undefined) return certificateUser
  if (token === undefined) return anonymous
  const user = authenticateToken(token)
  return user === undefined ? undefined : { ...user, groups: [...user.groups, 'system:authenticated'] }
}

async function serve(
  incoming: Incoming,
  user: KubernetesUser | undefined,
  current: () => Run,
  faults: FaultPlan
): Promise<void> {
  const request: SeenRequest = {
    ...parseRequest(incoming.method, incoming.url),
    user: user ?? anonymous
  }
  const struck = faults.strike(request)
  for (const fault of struck) {
    switch (fault.kind) {
      case 'delay':
        await sleep(fault.milliseconds)
        break
      case 'meanwhile':
        await fault.does()
        break
      case 'answer':
        return send(incoming, request, failure(fault), faults)
      case 'refused-stream':
        return incoming.refuse()
      case 'reset':
        if (!fault.carriedOut) return incoming.reset()
        break
      case 'goaway':
        if (!fault.answered) return incoming.goAway(false)
        break
      case 'truncated':
        break
    }
  }
  const answer = user === undefined ? status(unauthorized()) : await respond(incoming, request, current())
  if (struck.some(({ kind }) => kind === 'reset')) return incoming.reset()
  if (struck.some(({ kind }) => kind === 'truncated')) return incoming.respondInPart(outgoing(answer))
  send(incoming, request, answer, faults)
  if (struck.some(({ kind }) => kind === 'goaway')) incoming.goAway(true)
}

async function respond({ header, body }: Incoming, request: SeenRequest, run: Run): Promise<ApiResponse> {
  try {
    const denied = denial(request.user, request)
    if (denied !== undefined) return status(denied)
    const contentType = header('content-type').split(';')[0]?.trim() ?? ''
    const api = { info: request, user: request.user, accept: header('accept'), contentType, body }
    return await handle(api, run.registry, run.metrics)
  } catch (error) {
    if (error instanceof StatusError) return status(error)
    return status(internalError(error instanceof Error ? (error.stack ?? error.message) : String(error)))
  }
}

function send(incoming: Incoming, request: SeenRequest, answer: ApiResponse, faults: FaultPlan): void {
  faults.observed({ request, status: answer.status, body: answer.body })
  incoming.respond(outgoing(answer))
}

const outgoing = ({ status: code, contentType, body, headers }: ApiResponse): Outgoing => ({
  status: code,
  headers: { 'audit-id': randomUUID(), 'cache-control': 'no-cache, private', 'content-type': contentType, ...headers },
  body
})

function status(error: StatusError): ApiResponse {
  const retryAfter = error.status.details?.retryAfterSeconds
  return {
    ...json(error.code, error.status),
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': String(retryAfter) } })
  }
}

/** As the API server words its own failures, and a balancer before it the others. */
function failure({ status: code, retryAfter }: Extract<Fault, { kind: 'answer' }>): ApiResponse {
  const headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
  switch (code) {
    case 429:
      return withHeaders(text(429, 'Too many requests, please try again later.\n'), headers)
    case 500:
      return withHeaders(status(internalError('etcdserver: request timed out')), headers)
    case 502:
      return withHeaders(text(502, 'Bad Gateway\n'), headers)
    case 503: {
      const unavailable = new StatusError(503, 'ServiceUnavailable', 'apiserver is shutting down', {})
      return withHeaders(status(unavailable), headers)
    }
    case 504: {
      const message =
        'Timeout: request did not complete within requested timeout - context deadline exceeded'
      return withHeaders(status(new StatusError(504, 'Timeout', message, {})), headers)
    }
  }
}

const withHeaders = (answer: ApiResponse, headers: Readonly<Record<string, string>>): ApiResponse => ({
  ...answer,
  headers: { ...answer.headers, ...headers }
})

const write = { dryRun: false }

const createNamespace = (run: Run, name: string): Promise<unknown> =>
  run.registry.create(namespaces, '', { metadata: { name } }, write)

async function seed(run: Run, seeds: readonly SeedSecret[]): Promise<void> {
  for (const name of new Set(seeds.map(({ namespace }) => namespace))) {
    if (!run.registry.has({ resource: namespaces, namespace: '', name })) await createNamespace(run, name)
  }
  for (const { namespace, name, labels, annotations, ...rest } of seeds) {
    await run.registry.create(secrets, namespace, { ...rest, metadata: { name, labels, annotations } }, write)
  }
}

function readStoredSecrets(etcd: Etcd): readonly StoredSecret[] {
  const prefix = '/registry/secrets/'
  return etcd.range(prefix).keyValues.map(({ key, value, modRevision }) => {
    const [namespace = '', name = ''] = key.slice(prefix.length).split('/')
    return { namespace, name, ...parseStoredValue(value), revision: modRevision, bytes: value }
  })
}
