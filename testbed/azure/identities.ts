import { randomUUID } from 'node:crypto'

import type { Principal } from './entra.ts'
import { objectAt, textAt, type JsonObject } from './json.ts'
import { armFault, resourceNotFound, sameId, type ArmRoute } from './resource-manager.ts'

const TYPE = 'Microsoft.ManagedIdentity/userAssignedIdentities'
const PATH = `/subscriptions/{subscription}/resourceGroups/{group}/providers/${TYPE}/{name}`

/** A user-assigned managed identity. */
export interface Identity extends Principal {
  readonly id: string
  readonly name: string
  readonly location: string
}

export interface Identities {
  add(id: string, location: string, tenantId: string): Identity
  byId(id: string): Identity | undefined
  readonly all: readonly Identity[]
  readonly routes: readonly ArmRoute[]
}

export function createIdentities(resourceGroups: {
  exists(subscriptionId: string, name: string): boolean
}): Identities {
  const all: Identity[] = []
  const tags = new Map<string, JsonObject>()
  const byId = (id: string): Identity | undefined => all.find((identity) => sameId(identity.id, id))
  const add: Identities['add'] = (id, location, tenantId) => {
    const identity: Identity = {
      id,
      name: id.split('/').at(-1) ?? '',
      location,
      tenantId,
      objectId: randomUUID(),
      applicationId: randomUUID()
    }
    all.push(identity)
    return identity
  }
  const show = (identity: Identity): JsonObject => ({
    id: identity.id,
    name: identity.name,
    type: TYPE,
    location: identity.location,
    tags: tags.get(identity.id) ?? {},
    properties: {
      tenantId: identity.tenantId,
      principalId: identity.objectId,
      clientId: identity.applicationId
    }
  })

  return {
    add,
    byId,
    all,
    routes: [
      {
        method: 'GET',
        path: PATH,
        action: `${TYPE}/read`,
        handle({ resourceId, parameters }) {
          const found = byId(resourceId)
          if (found !== undefined) return { status: 200, body: show(found) }
          return resourceNotFound(TYPE, parameters['name'] ?? '', parameters['group'] ?? '')
        }
      },
      {
        method: 'PUT',
        path: PATH,
        action: `${TYPE}/write`,
        handle({ resourceId, parameters, caller, body }) {
          const { subscription = '', group = '' } = parameters
          if (!resourceGroups.exists(subscription, group)) {
            return armFault(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`)
          }
          const existing = byId(resourceId)
          const identity = existing ?? add(resourceId, textAt(body, 'location'), caller.tenantId)
          tags.set(identity.id, objectAt(body, 'tags'))
          return {
            status: existing === undefined ? 201 : 200,
            headers: { location: identity.id },
            body: show(identity)
          }
        }
      }
    ]
  }
}
