import { asObject, asObjects, asText, type JsonObject } from '../model/json.ts'
import type { Grant, RolePermissions } from '../model/permissions.ts'
import { parseServiceError, refusalToError } from './errors.ts'
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
      const filter = encodeURIComponent(`atScope() and assignedTo('${principalId}')`)
      const url = at(scope, `roleAssignments?$filter=${filter}`)
      const assignments = itemsOf(await listAll(arm, { url, apiVersion: API_VERSION, signal }))
      if (assignments === undefined) return undefined
      const found = assignments.map((assignment) => asObject(assignment['properties']))
      const roleIds = new Set(found.map(roleIdOf))
      const roles = new Map(
        await Promise.all([...roleIds].map(async (id) => [id, await roleAt(scope, id, signal)] as const))
      )
      const grants = found.map((properties): Grant | undefined => {
        const permissions = roles.get(roleIdOf(properties))
        if (permissions === undefined) return undefined
        return { scope: asText(properties['scope']), conditional: asText(properties['condition']) !== '', permissions }
      })
      return grants.every((grant) => grant !== undefined) ? grants : undefined
    }
  }
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
