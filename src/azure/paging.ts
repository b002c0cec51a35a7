import { asObject, asObjects, asText, type JsonObject } from '../model/json.ts'
import type { ArmAnswer, ArmRequest, ResourceManager } from './resource-manager.ts'

/** Everything on a list, or the answer that was no page of it. */
export type Listing = { readonly items: readonly JsonObject[] } | { readonly refusal: ArmAnswer }

/** Follows `nextLink` to the end of a list. */
export async function listAll(arm: ResourceManager, request: Omit<ArmRequest, 'method' | 'body'>): Promise<Listing> {
  const items: JsonObject[] = []
  for (let url = request.url; ;) {
    const answer = await arm.send({ ...request, method: 'GET', url })
    if (answer.status !== 200) return { refusal: answer }
    const { value, nextLink } = asObject(answer.body)
    items.push(...asObjects(value))
    url = asText(nextLink)
    if (url === '') return { items }
  }
}
