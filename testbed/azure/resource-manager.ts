import { randomUUID } from 'node:crypto'

import type { WireAnswer, WireHandler, WireReply, WireRequest } from '../network.ts'
import type { BedCloud } from './clouds.ts'
import type { Entra, Principal } from './entra.ts'
import { parseObject, type JsonObject } from './json.ts'
import type { Permissions } from './role-assignments.ts'

/** A call that ARM has let through to a resource provider. */
export interface ArmCall {
  readonly request: WireRequest
  readonly caller: Principal
  /** What the braces of the route's path stood for, as it was sent. */
  readonly parameters: Readonly<Record<string, string>>
  /** The resource that the path names, without what is done to it. */
  readonly resourceId: string
  readonly apiVersion: string
  readonly body: JsonObject
}

export interface ArmRoute {
  readonly method: 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE'
  /** `{name}` stands for one segment, `{*name}` for any number of them. Compared without case. */
  readonly path: string
  /** What the caller must be allowed on the resource; nothing where any caller of the tenant may. */
  readonly action?: string
  readonly handle: (call: ArmCall) => WireReply | Promise<WireReply>
}

export interface Subscriptions {
  /** Tenant that a subscription belongs to; undefined where there is no such subscription. */
  tenantOf(subscriptionId: string): string | undefined
}

/** Azure Resource Manager: who calls, may they, and which provider answers. */
export function createResourceManager(options: {
  readonly cloud: BedCloud
  readonly entra: Entra
  readonly permissions: Permissions
  readonly subscriptions: Subscriptions
  readonly routes: readonly ArmRoute[]
}): WireHandler {
  const { cloud, entra, permissions, subscriptions } = options
  const routes = options.routes.map((route) => ({ ...route, pattern: patternOf(route.path) }))

  const authenticate = (request: WireRequest): Principal | WireAnswer => {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) {
      return armFault(401, 'AuthenticationFailed', "Authentication failed. The 'Authorization' header is missing.")
    }
    const access = entra.verifyAccessToken(token, cloud.resourceManagerAudiences)
    if ('principal' in access) return access.principal
    switch (access.problem) {
      case 'malformed':
        return armFault(401, 'InvalidAuthenticationToken', 'The access token is invalid.')
      case 'expired':
        return armFault(
          401,
          'ExpiredAuthenticationToken',
          `The access token expiry UTC time '${access.detail}' is earlier than current UTC time '${new Date().toISOString()}'.`
        )
      case 'audience':
        return armFault(
          401,
          'InvalidAuthenticationTokenAudience',
          `The access token has been obtained for wrong audience or resource '${access.detail}'. It should exactly match with one of the allowed audiences '${cloud.resourceManagerAudiences.flatMap((audience) => [audience, `${audience}/`]).join("','")}'.`
        )
    }
  }

  const wrongTenant = (caller: Principal, tenantId: string): WireAnswer => {
    const message = `The access token is from the wrong issuer 'https://sts.windows.net/${caller.tenantId}/'. It must match the tenant 'https://sts.windows.net/${tenantId}/' associated with this subscription. Please use the authority (URL) 'https://${cloud.authorityHost}/${tenantId}' to get the token. Note, if the subscription is transferred to another tenant there is no impact to the services, but information about new tenant could take time to propagate (up to an hour). If you just transferred your subscription and see this error message, please try back later.`
    return {
      ...armFault(401, 'InvalidAuthenticationTokenTenant', message),
      headers: {
        'www-authenticate': `Bearer authorization_uri="https://${cloud.authorityHost}/${tenantId}", error="invalid_token", error_description="The access token is from the wrong issuer."`
      }
    }
  }

  const handle = async (request: WireRequest): Promise<WireReply> => {
    const caller = authenticate(request)
    if ('status' in caller) return caller
    const apiVersion = request.query.get('api-version')
    if (apiVersion === null) {
      return armFault(
        400,
        'MissingApiVersionParameter',
        'The api-version query parameter (?api-version=) is required for all requests.'
      )
    }
    if (!/^\d{4}-\d{2}-\d{2}(-preview)?$/.test(apiVersion)) {
      return armFault(400, 'InvalidApiVersionParameter', `The api-version '${apiVersion}' is invalid.`)
    }
    const path = decodeURIComponent(request.path).replace(/\/$/, '')
    const subscriptionId = /^\/subscriptions\/([^/]+)/i.exec(path)?.[1]
    if (subscriptionId !== undefined) {
      const tenantId = subscriptions.tenantOf(subscriptionId)
      if (tenantId === undefined) {
        return armFault(404, 'SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`)
      }
      if (tenantId !== caller.tenantId) return wrongTenant(caller, tenantId)
    }
    for (const { pattern, method, action, handle: provide } of routes) {
      const match = pattern.exec(path)
      if (match === null || method !== request.method) continue
      const resourceId = method === 'POST' ? path.slice(0, path.lastIndexOf('/')) : path
      if (action !== undefined && !permissions.allows(caller.objectId, action, resourceId)) {
        return authorizationFailed(caller, action, resourceId)
      }
      let body: JsonObject
      try {
        body = parseObject(request.text)
      } catch {
        return armFault(400, 'InvalidRequestContent', 'The request content was invalid and could not be deserialized.')
      }
      return provide({ request, caller, parameters: match.groups ?? {}, resourceId, apiVersion, body })
    }
    return armFault(
      404,
      'InvalidResourceType',
      `The test bed has no ${request.method} ${path}: the resource type could not be found.`
    )
  }

  return async (request) => {
    const reply = await handle(request)
    return reply === 'reset' ? reply : { ...reply, headers: { ...usualHeaders(request.method), ...reply.headers } }
  }
}

/** An error in ARM's own, wrapped shape. */
export function armFault(status: number, code: string, message: string): WireAnswer {
  return { status, headers: { 'x-ms-failure-cause': 'gateway' }, body: { error: { code, message } } }
}

export function authorizationFailed(caller: Principal, action: string, scope: string): WireAnswer {
  return armFault(
    403,
    'AuthorizationFailed',
    `The client '${caller.applicationId}' with object id '${caller.objectId}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`
  )
}

export function resourceNotFound(type: string, name: string, resourceGroup: string): WireAnswer {
  return armFault(
    404,
    'ResourceNotFound',
    `The Resource '${type}/${name}' under resource group '${resourceGroup}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`
  )
}

/** True when an id names the scope itself or something within it. */
export function isUnder(id: string, scope: string): boolean {
  const [inner, outer] = [id.toLowerCase(), scope.toLowerCase().replace(/\/$/, '')]
  return inner === outer || inner.startsWith(`${outer}/`)
}

export function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function patternOf(path: string): RegExp {
  const source = path
    .split(/(\{[^}]+\})/)
    .map((part) => {
      if (part.startsWith('{*')) return `(?<${part.slice(2, -1)}>.*?)`
      if (part.startsWith('{')) return `(?<${part.slice(1, -1)}>[^/]+)`
      return part.replace(/[.$]/g, '\\$&')
    })
    .join('')
  return new RegExp(`^${source}$`, 'i')
}

function usualHeaders(method: string): Record<string, string> {
  const id = randomUUID()
  const left: Record<string, string> =
    method === 'GET'
      ? { 'x-ms-ratelimit-remaining-subscription-global-reads': '16499' }
      : {
          'x-ms-ratelimit-remaining-subscription-global-writes': '12000',
          'x-ms-ratelimit-remaining-subscription-writes': '800'
        }
  return {
    'cache-control': 'no-cache',
    'x-ms-request-id': id,
    'x-ms-correlation-request-id': id,
    'x-ms-routing-request-id': `WESTEUROPE:${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}:${id}`,
    ...left
  }
}
