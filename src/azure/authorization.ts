import { createHash } from 'node:crypto'
import { asObject, asObjects, asText, type JsonObject } from '../model/json.ts'
import type { Grant, RolePermissions } from '../model/permissions.ts'
import { parseServiceError, refusalToError } from './errors.ts'
import { expectJson } from './expect-json.ts'
import { putIdempotently } from './idempotent-put.ts'
import { listAll, type Listing } from './paging.ts'
import type { ArmAnswer, ResourceManager } from './resource-manager.ts'
import { isTransientStatus } from './retry-policy.ts'

/** Shows conditions. Source: learn.microsoft.com/rest/api/authorization */
const API_VERSION = '2022-04-01'

/** Azure RBAC. Every method throws ActionError where Azure does not answer. */
export interface Authorization {
  /** What the signed-in identity itself may do at a scope; undefined where Azure does not say. */
  ownPermissions(scope: string, signal?: AbortSignal): Promise<readonly RolePermissions[] | undefined>
  /** The roles of a principal, also by its groups, that hold at a scope; undefined where they may not be read. */
  grantsOf(principalId: string, scope: string, signal?: AbortSignal): Promise<readonly Grant[] | undefined>
  /**
   * Gives a managed identity or an application a role. The assignment always has the same name, so that twice is the same as once.
   * Throws ActionError.
   */
  assignRole(assignment: RoleAssignment, signal?: AbortSignal): Promise<'made' | 'was-there'>
}

export interface RoleAssignment {
  readonly principalId: string
  readonly roleId: string
  /** ARM id that the role is to hold at and below. */
  readonly scope: string
}

export function createAuthorization(arm: ResourceManager): Authorization {
  const at = (scope: string, rest: string): string => `${encodeURI(scope)}/providers/Microsoft.Authorization/${rest}`

  async function roleAt(scope: string, roleId: string, signal: AbortSignal | undefined) {
    const url = at(scope, `roleDefinitions/${roleId}`)
    const answer = await arm.send({ method: 'GET', url, apiVersion: API_VERSION, signal })
    if (answer.status !== 200) {
      throwIfUnavailable(answer)
      return undefined
    }
    return asObjects(asObject(asObject(answer.body)['properties'])['permissions']).map(permissionsFrom)
  }

  return {
    async ownPermissions(scope, signal) {
      const listing = await listAll(arm, { url: at(scope, 'permissions'), apiVersion: API_VERSION, signal })
      return itemsOf(listing)?.map(permissionsFrom)
    },

    async grantsOf(principalId, scope, signal) {
      const assignments = itemsOf(await listAssignments(principalId, scope, signal))
      if (assignments === undefined) return undefined
      const found = assignments.map((assignment) => asObject(assignment['properties']))
      const roleIds = new Set(found.map(roleIdOf))
      const roles = new Map(
        await Promise.all([...roleIds].map(async (id) => [id, await roleAt(scope, id, signal)] as const))
      )
      const grants = found.map((properties): Grant | undefined => {
        const permissions = roles.get(roleIdOf(properties))
        if (permissions === undefined) return undefined
        return {
          scope: asText(properties['scope']),
          conditional: asText(properties['condition']) !== '',
          createdAt: Date.parse(asText(properties['createdOn'])) || undefined,
          permissions
        }
      })
      return grants.every((grant) => grant !== undefined) ? grants : undefined
    },

    async assignRole(assignment, signal) {
      const { principalId, roleId, scope } = assignment
      const subscription = /^\/subscriptions\/[^/]+/i.exec(scope)?.[0] ?? ''
      const roleDefinitionId = `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${roleId}`
      const answer = await putIdempotently(arm, {
        url: at(scope, `roleAssignments/${assignmentName(assignment)}`),
        apiVersion: API_VERSION,
        // The type spares Azure the look-up of an identity that may be too new to be found.
        body: { properties: { roleDefinitionId, principalId, principalType: 'ServicePrincipal' } },
        signal
      })
      if (parseServiceError(answer.status, answer.body).code === 'RoleAssignmentExists') return 'was-there'
      expectJson(answer, `assign a role on ${scope}`, 'azure-request-failed')
      return 'made'
    }
  }

  async function listAssignments(principalId: string, scope: string, signal: AbortSignal | undefined) {
    const list = (filter: string): Promise<Listing> =>
      listAll(arm, {
        url: at(scope, `roleAssignments?$filter=${encodeURIComponent(filter)}`),
        apiVersion: API_VERSION,
        signal
      })
    const listing = await list(`atScope() and assignedTo('${principalId}')`)
    // Of an identity that was made just now the directory may not know the groups yet.
    const isUnknown = 'refusal' in listing && (listing.refusal.status === 400 || listing.refusal.status === 404)
    return isUnknown ? await list(`principalId eq '${principalId}'`) : listing
  }
}

/** A GUID that only these three make. */
function assignmentName({ principalId, roleId, scope }: RoleAssignment): string {
  const hex = createHash('sha256').update(`${scope}|${principalId}|${roleId}`.toLowerCase()).digest('hex')
  // Version 8, variant 1: a custom GUID. Source: RFC 9562
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-'
  )
}

function itemsOf(listing: Listing): readonly JsonObject[] | undefined {
  if ('items' in listing) return listing.items
  throwIfUnavailable(listing.refusal)
  return undefined
}

/** A refusal leaves unknown what was asked for; that there is no answer says nothing of the next request. */
function throwIfUnavailable({ status, body }: ArmAnswer): void {
  if (status !== 0 && !isTransientStatus(status)) return
  throw refusalToError(parseServiceError(status, body), 'read the role assignments', 'azure-request-failed')
}

function roleIdOf(assignment: JsonObject): string {
  return asText(assignment['roleDefinitionId']).split('/').at(-1)?.toLowerCase() ?? ''
}

function permissionsFrom(permissions: JsonObject): RolePermissions {
  const list = (name: string): readonly string[] => {
    const value = permissions[name]
    return Array.isArray(value) ? value.map(asText) : []
  }
  return {
    actions: list('actions'),
    notActions: list('notActions'),
    dataActions: list('dataActions'),
    notDataActions: list('notDataActions')
  }
}
