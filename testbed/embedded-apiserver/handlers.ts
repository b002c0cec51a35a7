import { parseBody } from './bodies.ts'
import type { Encryption } from './encryption/configuration.ts'
import type { IdentityLease } from './identity-lease.ts'
import type { Metrics } from './metrics.ts'
import { negotiate, type Form } from './negotiation.ts'
import { fieldsOf, isFields, type Fields } from './objects.ts'
import { patchTypes } from './patch.ts'
import type { Registry } from './registry.ts'
import { representList, representObject } from './representation.ts'
import { infoOfAttributes, resourceOf, type RequestInfo } from './request-info.ts'
import type { Resource } from './resources/resource.ts'
import { parseSelector } from './selector.ts'
import { badRequest, invalid, methodNotAllowed, StatusError, unknownResource } from './status.ts'

export interface ApiRequest {
  readonly info: RequestInfo
  readonly accept: string
  /** Without parameters. */
  readonly contentType: string
  readonly body: string
  /** Whether a role permits the user another request. */
  readonly permits: (info: RequestInfo) => boolean
}

export interface ApiResponse {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  /** Whether it goes out compressed to whom that suits. */
  readonly compressible?: boolean
}

/** One start of the API server: everything that a restart forgets. */
export interface Run {
  readonly identityLease: IdentityLease
  readonly registry: Registry
  readonly metrics: Metrics
  readonly encryption: Encryption
  readonly usesKms: boolean
}

/** Answers an authenticated and authorized request. Throws `StatusError`. */
export async function handle(request: ApiRequest, run: Run): Promise<ApiResponse> {
  const { info } = request
  if (info.plural === '') return handlePath(info, run)
  if (info.plural === 'selfsubjectaccessreviews' && info.group === 'authorization.k8s.io') return reviewAccess(request)
  const resource = resourceOf(info)
  if (resource === undefined || info.subresource !== '') throw unknownResource()
  return handleResource(resource, request, run.registry)
}

async function handleResource(resource: Resource, request: ApiRequest, registry: Registry): Promise<ApiResponse> {
  const { info, contentType, body } = request
  const namespace = resource.namespaced ? info.namespace : ''
  const place = { resource, namespace, name: info.name }
  const form = negotiate(request.accept)
  const write = { dryRun: info.query.has('dryRun') }
  const single = (status: number, object: Awaited<ReturnType<Registry['get']>>): ApiResponse =>
    json(status, representObject(resource, object, form, info.query.get('includeObject') ?? ''))
  switch (info.verb) {
    case 'get':
      return single(200, await registry.get(place))
    case 'list':
      return list(resource, namespace, request, registry, form)
    case 'create':
      if (info.name !== '' || (resource.namespaced && namespace === '')) throw methodNotAllowed()
      assertJson(contentType)
      return single(201, await registry.create(resource, namespace, parseBody(resource, body), write))
    case 'update': {
      if (info.name === '') throw methodNotAllowed()
      assertJson(contentType)
      const before = registry.has(place)
      return single(before ? 200 : 201, await registry.update(place, parseBody(resource, body), write))
    }
    case 'patch':
      if (info.name === '') throw methodNotAllowed()
      if (!patchTypes.includes(contentType)) {
        throw new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {})
      }
      return single(200, await registry.patch(place, contentType, body, write))
    case 'delete': {
      const options = body === '' ? {} : parseBody({ kind: 'DeleteOptions' }, body)
      if (!resource.namespaced) return json(200, await registry.deleteNamespace(place))
      return json(200, await registry.delete(place, options))
    }
    default:
      throw methodNotAllowed()
  }
}

async function list(
  resource: Resource,
  namespace: string,
  { info }: ApiRequest,
  registry: Registry,
  form: Form
): Promise<ApiResponse> {
  const parameter = (name: string): string => info.query.get(name) ?? ''
  if (parameter('watch') === 'true' || parameter('watch') === '1') throw methodNotAllowed()
  const limit = Number(parameter('limit'))
  if (!Number.isInteger(limit)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(parameter('limit'))}: invalid syntax`)
  }
  const found = await registry.list(resource, namespace, {
    limit,
    continueToken: parameter('continue'),
    resourceVersion: parameter('resourceVersion'),
    exact: parameter('resourceVersionMatch') === 'Exact',
    selector: parseSelector(parameter('labelSelector'), parameter('fieldSelector'))
  })
  return json(200, representList(resource, found, form, parameter('includeObject')))
}

async function handlePath(info: RequestInfo, run: Run): Promise<ApiResponse> {
  switch (info.path) {
    case '/version':
      return json(200, version)
    case '/livez':
      return text(200, 'ok')
    case '/readyz':
    case '/healthz': {
      if ((await pluginFailure(run)) === undefined) return text(200, 'ok')
      const checks = '[+]ping ok\n[+]etcd ok\n[-]kms-providers failed: reason withheld\n'
      return text(500, `${checks}${info.path.slice(1)} check failed\n`)
    }
    case '/readyz/kms-providers':
    case '/healthz/kms-providers': {
      if (!run.usesKms) return text(404, '404 page not found\n')
      const failure = await pluginFailure(run)
      return failure === undefined ? text(200, 'ok') : text(500, `internal server error: ${failure}\n`)
    }
    case '/metrics':
      return {
        status: 200,
        contentType: 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores',
        body: run.metrics.text(),
        headers: { 'process-start-time-unix': String(Math.floor(run.metrics.startedAt)) },
        compressible: true
      }
    default:
      return text(404, '404 page not found\n')
  }
}

async function pluginFailure({ encryption }: Run): Promise<string | undefined> {
  return encryption.check().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error))
  )
}

function reviewAccess({ info, permits, body }: ApiRequest): ApiResponse {
  if (info.verb !== 'create') throw methodNotAllowed()
  const spec = fieldsOf(parseBody({ kind: 'SelfSubjectAccessReview' }, body)['spec'])
  if ((spec['resourceAttributes'] === undefined) === (spec['nonResourceAttributes'] === undefined)) {
    throw invalid({ group: 'authorization.k8s.io', plural: '', kind: '' }, '', [
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
        field: 'spec.resourceAttributes'
      }
    ])
  }
  return json(201, {
    kind: 'SelfSubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    metadata: {},
    spec: withoutEmptyTexts(spec),
    status: { allowed: permits(infoOfAttributes(spec)) }
  })
}

/** As Go leaves out what has its type's zero value. */
function withoutEmptyTexts(fields: Fields): Fields {
  const left = Object.entries(fields).filter(([, value]) => value !== '')
  return Object.fromEntries(left.map(([name, value]) => [name, isFields(value) ? withoutEmptyTexts(value) : value]))
}

function assertJson(contentType: string): void {
  if (contentType === '' || contentType === 'application/json') return
  throw new StatusError(
    415,
    'UnsupportedMediaType',
    'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf'
  )
}

export const json = (status: number, body: object): ApiResponse => ({
  status,
  contentType: 'application/json',
  body: JSON.stringify(body)
})

export const text = (status: number, body: string): ApiResponse => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body,
  headers: { 'x-content-type-options': 'nosniff' }
})

const version = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.3',
  gitCommit: 'embedded',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'node/embedded'
}
