import { asObjects, asText, isJsonObject, type JsonObject } from '../model/json.ts'
import type { ArmAnswer, ArmRequest, ResourceManager } from './resource-manager.ts'

/** Everything on a list, or the answer that was no page of it. */
export type Listing = { readonly items: readonly JsonObject[] } | { readonly refusal: ArmAnswer }

/** Follows `nextLink` to the end of a list. */
export async function listAll(arm: ResourceManager, request: Omit<ArmRequest, 'method' | 'body'>): Promise<Listing> {
  const items: JsonObject[] = []
  const asked = new Set<string>()
  for (let url = request.url; ;) {
    asked.add(url)
    const answer = await arm.send({ ...request, method: 'GET', url })
    if (answer.status !== 200 || !isJsonObject(answer.body)) return { refusal: answer }
    const { value, nextLink } = answer.body
    items.push(...asObjects(value))
    url = asText(nextLink)
    if (url === '') return { items }
    if (asked.has(url)) return { refusal: LOOP }
  }
}

/** A list that never ends. */
const LOOP: ArmAnswer = {
  status: 508,
  headers: {},
  body: { code: 'LoopDetected', message: 'A page of the list leads back to an earlier one.' }
}
