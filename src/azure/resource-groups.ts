import { asText } from '../model/json.ts'
import { parseServiceError } from './errors.ts'
import { expectJson } from './expect-json.ts'
import type { ResourceManager } from './resource-manager.ts'

const API_VERSION = '2021-04-01'

/** Azure's location of a resource group; undefined where there is no such group. Throws ActionError for every other failure. */
export async function locationOfGroup(
  arm: ResourceManager,
  group: { readonly subscriptionId: string; readonly name: string },
  signal: AbortSignal | undefined
): Promise<string | undefined> {
  const url = encodeURI(`/subscriptions/${group.subscriptionId}/resourceGroups/${group.name}`)
  const answer = await arm.send({ method: 'GET', url, apiVersion: API_VERSION, signal })
  if (parseServiceError(answer.status, answer.body).code === 'ResourceGroupNotFound') return undefined
  return asText(expectJson(answer, `read the resource group ${group.name}`, 'azure-request-failed')['location'])
}
