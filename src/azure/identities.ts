import { asObject, asText, type JsonObject } from '../model/json.ts'
import { nameOf } from '../model/arm-id.ts'
import type { Identity } from '../model/preparation.ts'
import { expectJson } from './expect-json.ts'
import { putIdempotently } from './idempotent-put.ts'
import type { ResourceManager } from './resource-manager.ts'

const API_VERSION = '2023-01-31'

/** User-assigned managed identities. Every method throws ActionError. */
export interface Identities {
  /** By ARM id; undefined where there is none. */
  read(id: string, signal?: AbortSignal): Promise<Identity | undefined>
  /** One that is there already stays as it is. */
  create(id: string, location: string, signal?: AbortSignal): Promise<'made' | 'was-there'>
}

export function createIdentities(arm: ResourceManager): Identities {
  const read: Identities['read'] = async (id, signal) => {
    const answer = await arm.send({ method: 'GET', url: encodeURI(id), apiVersion: API_VERSION, signal })
    if (answer.status === 404) return undefined
    return identityFrom(expectJson(answer, `read the identity ${nameOf(id)}`, 'azure-request-failed'))
  }
  return {
    read,
    async create(id, location, signal) {
      // A PUT would take the tags off one that somebody else has made meanwhile.
      if ((await read(id, signal)) !== undefined) return 'was-there'
      const url = encodeURI(id)
      const answer = await putIdempotently(arm, { url, apiVersion: API_VERSION, body: { location }, signal })
      expectJson(answer, `make the identity ${nameOf(id)}`, 'azure-request-failed')
      return 'made'
    }
  }
}

function identityFrom(body: JsonObject): Identity {
  const properties = asObject(body['properties'])
  return {
    id: asText(body['id']),
    location: asText(body['location']),
    tenantId: asText(properties['tenantId']),
    principalId: asText(properties['principalId'])
  }
}
