import { randomUUID } from 'node:crypto'

import type { GitHubIssuer } from '../github/oidc-issuer.ts'
import type { WireAnswer, WireHandler, WireRequest } from '../network.ts'
import { AKS_SERVER_APPLICATION, vaultResource, type BedCloud } from './clouds.ts'
import { createSigningKey, publicJwk, readToken, signToken } from './jwt.ts'
import { textAt, type JsonObject } from './json.ts'

/** Somebody that access tokens speak of: a service principal or a managed identity. */
export interface Principal {
  readonly tenantId: string
  readonly objectId: string
  readonly applicationId: string
}

export interface FederatedCredential {
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
}

export interface Application extends Principal {
  /** Entra groups of the service principal. */
  readonly groups: readonly string[]
  /** May be changed at any time. */
  readonly federatedCredentials: FederatedCredential[]
}

export type AccessToken =
  | { readonly principal: Principal; readonly groups: readonly string[]; readonly expires: number }
  | { readonly problem: 'malformed' | 'expired' | 'audience'; readonly detail: string }

/** One answer of the token endpoint. */
export interface TokenExchange {
  readonly clientId: string
  readonly scope: string
  /** The ID token presented, to tell a fresh one from one used before. */
  readonly assertion: string
  /** 0 for a token, else the number of the AADSTS error. */
  readonly error: number
}

export interface Entra {
  addTenant(tenantId?: string): string
  addApplication(options: {
    readonly tenantId: string
    readonly clientId?: string
    readonly objectId?: string
    readonly groups?: readonly string[]
    readonly federatedCredentials?: readonly FederatedCredential[]
  }): Application
  readonly applications: readonly Application[]
  /** Seconds that the access tokens from now on are good for. */
  setAccessTokenLifetime(seconds: number): void
  /** An access token as the token endpoint would give it, for a test that talks to the services itself. */
  issueAccessToken(principal: Principal, audience: string): string
  /** Reads a token for one of the audiences; a slash at their end doesn't matter. */
  verifyAccessToken(token: string, audiences: string | readonly string[]): AccessToken
  readonly exchanges: readonly TokenExchange[]
  readonly handler: WireHandler
}

export async function createEntra(options: {
  readonly cloud: BedCloud
  readonly github: Pick<GitHubIssuer, 'issuer' | 'verify'>
}): Promise<Entra> {
  const { cloud, github } = options
  const key = await createSigningKey()
  const tenants = new Set<string>()
  const applications: Application[] = []
  const exchanges: TokenExchange[] = []
  const resources = [...cloud.resourceManagerAudiences, vaultResource(cloud), AKS_SERVER_APPLICATION]
  let lifetime = 3600

  const issue = (principal: Principal, audience: string, groups: readonly string[]): string => {
    const now = Math.floor(Date.now() / 1000)
    return signToken(key, {
      aud: audience,
      iss: issuerOf(principal.tenantId),
      iat: now,
      nbf: now,
      exp: now + lifetime,
      appid: principal.applicationId,
      appidacr: '2',
      idp: issuerOf(principal.tenantId),
      idtyp: 'app',
      oid: principal.objectId,
      sub: principal.objectId,
      tid: principal.tenantId,
      groups,
      ver: '1.0'
    })
  }

  const exchange = (request: WireRequest, tenant: string): WireAnswer => {
    const form = new URLSearchParams(request.text)
    const clientId = form.get('client_id') ?? ''
    const scope = form.get('scope') ?? ''
    const assertion = form.get('client_assertion') ?? ''
    const fault = (status: number, kind: string, code: number, message: string): WireAnswer => {
      exchanges.push({ clientId, scope, assertion, error: code })
      return { status, body: errorBody(cloud, kind, code, message) }
    }

    if (!tenants.has(tenant)) return fault(400, 'invalid_request', 90002, tenantNotFound(tenant))
    if (form.get('grant_type') !== 'client_credentials') {
      return fault(400, 'unsupported_grant_type', 70003, 'The app requested an unsupported grant type.')
    }
    const application = applications.find((one) => one.tenantId === tenant && one.applicationId === clientId)
    if (application === undefined) {
      return fault(
        400,
        'unauthorized_client',
        700016,
        `Application with identifier '${clientId}' was not found in the directory '${tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`
      )
    }
    if (assertion === '') {
      return fault(
        401,
        'invalid_client',
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
      )
    }
    const claims = github.verify(assertion)
    if (claims === undefined) {
      return fault(
        401,
        'invalid_client',
        700027,
        'The certificate with identifier used to sign the client assertion is not registered on application.'
      )
    }
    const mismatch = matchCredential(application.federatedCredentials, claims)
    if (mismatch !== undefined) return fault(401, 'invalid_client', mismatch.code, mismatch.message)
    const [validFrom, expires] = [Number(claims['iat']), Number(claims['exp'])]
    const now = Date.now()
    if (now >= expires * 1000) {
      return fault(
        401,
        'invalid_client',
        700024,
        `Client assertion is not within its valid time range. Current time: ${new Date(now).toISOString()}, assertion valid from ${time(validFrom)}, expiry time of assertion ${time(expires)}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .`
      )
    }
    const audience = /^(.+)\/\.default$/.exec(scope)?.[1]
    if (audience === undefined) {
      return fault(
        400,
        'invalid_scope',
        1002012,
        `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).`
      )
    }
    if (!resources.includes(withoutSlash(audience))) {
      return fault(
        400,
        'invalid_resource',
        500011,
        `The resource principal named ${audience} was not found in the tenant named ${tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.`
      )
    }
    exchanges.push({ clientId, scope, assertion, error: 0 })
    return {
      status: 200,
      headers: { 'cache-control': 'no-store, no-cache', pragma: 'no-cache' },
      body: {
        token_type: 'Bearer',
        expires_in: lifetime,
        ext_expires_in: lifetime,
        access_token: issue(application, audience, application.groups)
      }
    }
  }

  const handler: WireHandler = (request) => {
    const [tenant = '', ...rest] = request.path.split('/').slice(1)
    const page = rest.join('/')
    if (request.method === 'GET' && tenant === 'common' && page === 'discovery/instance') {
      return { status: 200, body: instanceDiscovery(cloud, request.query.get('authorization_endpoint') ?? '') }
    }
    if (request.method === 'GET' && page === 'v2.0/.well-known/openid-configuration') {
      if (tenant === 'common' || tenants.has(tenant)) return { status: 200, body: openIdConfiguration(cloud, tenant) }
      return { status: 400, body: errorBody(cloud, 'invalid_tenant', 90002, tenantNotFound(tenant)) }
    }
    if (request.method === 'GET' && page === 'discovery/v2.0/keys') {
      return { status: 200, body: { keys: [publicJwk(key)] } }
    }
    if (request.method === 'POST' && page === 'oauth2/v2.0/token') return exchange(request, tenant)
    return { status: 404, body: { error: 'not_found', error_description: `The test bed has no ${request.path}` } }
  }

  return {
    addTenant(tenantId = randomUUID()) {
      tenants.add(tenantId)
      return tenantId
    },
    addApplication({ tenantId, clientId, objectId, groups, federatedCredentials }) {
      const application: Application = {
        tenantId,
        applicationId: clientId ?? randomUUID(),
        objectId: objectId ?? randomUUID(),
        groups: groups ?? [],
        federatedCredentials: [...(federatedCredentials ?? [])]
      }
      applications.push(application)
      return application
    },
    applications,
    setAccessTokenLifetime(seconds) {
      lifetime = seconds
    },
    issueAccessToken: (principal, audience) => issue(principal, audience, []),
    verifyAccessToken(token, audiences) {
      const claims = readToken(key, token)
      if (claims === undefined) return { problem: 'malformed', detail: '' }
      const audience = textAt(claims, 'aud')
      if (![audiences].flat().includes(withoutSlash(audience))) return { problem: 'audience', detail: audience }
      const expires = Number(claims['exp'])
      if (Date.now() >= expires * 1000) return { problem: 'expired', detail: time(expires) }
      return {
        principal: {
          tenantId: textAt(claims, 'tid'),
          objectId: textAt(claims, 'oid'),
          applicationId: textAt(claims, 'appid')
        },
        groups: Array.isArray(claims['groups']) ? claims['groups'].map(String) : [],
        expires
      }
    },
    exchanges,
    handler
  }
}

/** Who a tenant's access tokens are from; the same host in the clouds at hand. */
export function issuerOf(tenantId: string): string {
  return `https://sts.windows.net/${tenantId}/`
}

/** Entra compares issuer, audience and subject letter by letter, and says which of them it has never heard of. */
function matchCredential(
  credentials: readonly FederatedCredential[],
  claims: JsonObject
): { readonly code: number; readonly message: string } | undefined {
  const [issuer, subject, audience] = [textAt(claims, 'iss'), textAt(claims, 'sub'), textAt(claims, 'aud')]
  const advice =
    'Check your federated identity credential Subject, Audience and Issuer against the presented assertion.'
  const documentation = 'https://learn.microsoft.com/entra/workload-id/workload-identity-federation'
  if (credentials.length === 0) {
    return {
      code: 70021,
      message: `No matching federated identity record found for presented assertion. Assertion Issuer: '${issuer}'. Assertion Subject: '${subject}'. Assertion Audience: '${audience}'. ${documentation}`
    }
  }
  const sameIssuer = credentials.filter((one) => one.issuer === issuer)
  if (sameIssuer.length === 0) {
    return {
      code: 700211,
      message: `No matching federated identity record found for presented assertion issuer '${issuer}'. ${advice} ${documentation}`
    }
  }
  const sameAudience = sameIssuer.filter((one) => one.audiences.includes(audience))
  if (sameAudience.length === 0) {
    return {
      code: 700212,
      message: `No matching federated identity record found for presented assertion audience '${audience}'. ${advice} ${documentation}`
    }
  }
  if (sameAudience.some((one) => one.subject === subject)) return undefined
  if (sameAudience.some((one) => one.subject.toLowerCase() === subject.toLowerCase())) {
    return {
      code: 7002138,
      message: `No matching federated identity record found for presented assertion subject '${subject}'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison. ${advice} See documentation at: ${documentation}. See breaking change notification and remediation at: https://learn.microsoft.com/en-us/entra/identity-platform/reference-breaking-changes#august-2024.`
    }
  }
  return {
    code: 700213,
    message: `No matching federated identity record found for presented assertion subject '${subject}'. ${advice} ${documentation}`
  }
}

function errorBody(cloud: BedCloud, error: string, code: number, message: string): JsonObject {
  const timestamp = new Date().toISOString().replace('T', ' ').replace(/\.\d+/, '')
  const [trace, correlation] = [randomUUID(), randomUUID()]
  return {
    error,
    error_description: `AADSTS${code}: ${message} Trace ID: ${trace} Correlation ID: ${correlation} Timestamp: ${timestamp}`,
    error_codes: [code],
    timestamp,
    trace_id: trace,
    correlation_id: correlation,
    error_uri: `https://${cloud.authorityHost}/error?code=${code}`
  }
}

function tenantNotFound(tenant: string): string {
  return `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`
}

function openIdConfiguration(cloud: BedCloud, tenant: string): JsonObject {
  const authority = `https://${cloud.authorityHost}/${tenant}`
  return {
    token_endpoint: `${authority}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${authority}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: `${authority}/v2.0`,
    authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${authority}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${authority}/oauth2/v2.0/logout`,
    tenant_region_scope: 'EU',
    cloud_instance_name: cloud.authorityHost.replace(/^login\./, '')
  }
}

function instanceDiscovery(cloud: BedCloud, authorizationEndpoint: string): JsonObject {
  const host = cloud.authorityHost
  return {
    tenant_discovery_endpoint: authorizationEndpoint.replace(
      /\/oauth2\/v2\.0\/authorize$/,
      '/v2.0/.well-known/openid-configuration'
    ),
    'api-version': '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }]
  }
}

function withoutSlash(audience: string): string {
  return audience.replace(/\/$/, '')
}

function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
