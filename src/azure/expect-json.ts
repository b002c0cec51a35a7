import { ActionError, type Code } from '../errors.ts'
import { isJsonObject, type JsonObject } from '../model/json.ts'
import { parseServiceError, refusalToError } from './errors.ts'
import type { ArmAnswer } from './resource-manager.ts'

/** The body of an answer that is a success; throws what any other means. `attempt` and `otherwise` as for `refusalToError`. */
export function expectJson(answer: ArmAnswer, attempt: string, otherwise: Code): JsonObject {
  if (answer.status < 200 || answer.status >= 300) {
    throw refusalToError(parseServiceError(answer.status, answer.body), attempt, otherwise)
  }
  if (isJsonObject(answer.body)) return answer.body
  throw new ActionError('azure-unavailable', `Could not ${attempt}: the answer (${String(answer.status)}) is not JSON.`)
}
