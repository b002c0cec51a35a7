import { badRequest, patchTestFailed } from './status.ts'
import { isFields, type Fields } from './objects.ts'

export const patchTypes = [
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/json-patch+json'
]

/**
 * The object as the patch wants it. Of strategic merge patches only what is a merge patch too is understood, and of JSON
 * patches only tests of the resourceVersion: nothing in the bed needs more.
 */
export function applyPatch(object: Fields, contentType: string, body: string): Fields {
  const patch = parse(body)
  if (contentType === 'application/json-patch+json') {
    if (!Array.isArray(patch) || !patch.every(isVersionTest)) {
      throw badRequest('the embedded API server applies no JSON patch but tests of the resourceVersion')
    }
    const metadata = object['metadata']
    const version = isFields(metadata) ? metadata['resourceVersion'] : undefined
    if (patch.every(({ value }) => value === version)) return object
    throw patchTestFailed()
  }
  if (!isFields(patch)) {
    const type = Array.isArray(patch) ? 'array' : typeof patch
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${type} into Go value of type map[string]interface {}`
    )
  }
  return merge(object, patch)
}

interface VersionTest {
  readonly op: 'test'
  readonly path: '/metadata/resourceVersion'
  readonly value: string
}

function isVersionTest(operation: unknown): operation is VersionTest {
  return isFields(operation) && operation['op'] === 'test' && operation['path'] === '/metadata/resourceVersion'
}

/** RFC 7396. */
export function merge(target: Fields, patch: Fields): Fields {
  const names = Object.keys(patch)
  if (names.length === 0) return target
  const merged = new Map(Object.entries(target))
  for (const name of names) {
    const value = patch[name]
    const present = merged.get(name)
    if (value === null) merged.delete(name)
    else merged.set(name, isFields(value) ? merge(isFields(present) ? present : {}, value) : value)
  }
  return Object.fromEntries(merged)
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw badRequest(
      `error decoding patch: ${/Unexpected end|in JSON at position/.test(message) || body === '' ? 'unexpected end of JSON input' : message}`
    )
  }
}
