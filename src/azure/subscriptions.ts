import { asObject, asText } from '../model/json.ts'
import type { ResourceManager } from './resource-manager.ts'

const API_VERSION = '2022-12-01'

/** The tenant of a subscription; undefined where Azure does not say. */
export async function tenantOf(
  arm: ResourceManager,
  subscriptionId: string,
  signal: AbortSignal | undefined
): Promise<string | undefined> {
  const url = `/subscriptions/${subscriptionId}`
  const { status, body } = await arm.send({ method: 'GET', url, apiVersion: API_VERSION, signal })
  return status === 200 ? asText(asObject(body)['tenantId']) || undefined : undefined
}
