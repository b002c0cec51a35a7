import { isJsonObject, type Json, type JsonObject } from '../../src/model/json.ts'

export type { Json, JsonObject }
export { isJsonObject }

/** The value at a path of property names; undefined where there is none. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((inner, name) => (isJsonObject(inner) ? inner[name] : undefined), value)
}

export function objectAt(value: Json | undefined, ...path: readonly string[]): JsonObject {
  const found = at(value, ...path)
  return isJsonObject(found) ? found : {}
}

export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : ''
}

export function listAt(value: Json | undefined, ...path: readonly string[]): readonly Json[] {
  const found = at(value, ...path)
  return isJsonList(found) ? found : []
}

/** Array.isArray alone would make `any` of a readonly list's elements. */
function isJsonList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** A copy with another value at a path; undefined removes it. Objects on the way are made where they are missing. */
export function replaceAt(value: JsonObject, path: readonly string[], replacement: Json | undefined): JsonObject {
  const [name, ...rest] = path
  if (name === undefined) return isJsonObject(replacement) ? replacement : {}
  if (replacement === undefined && value[name] === undefined) return value
  const changed = rest.length === 0 ? replacement : replaceAt(objectAt(value, name), rest, replacement)
  if (changed !== undefined) return { ...value, [name]: changed }
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))
}

/** What a request body holds; an empty object where it is no JSON object. */
export function parseObject(text: string): JsonObject {
  if (text === '') return {}
  const parsed: unknown = JSON.parse(text)
  return isJsonObject(parsed) ? parsed : {}
}
