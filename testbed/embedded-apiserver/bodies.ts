import { fieldsOf, isFields, stringOf, type Fields, type KubernetesObject } from './objects.ts'
import type { Resource } from './resources/resource.ts'
import { badRequest, StatusError } from './status.ts'

/** The body of a request that must be a JSON object. */
export function parseBody(resource: { readonly kind: string }, body: string): Fields {
  try {
    const parsed: unknown = JSON.parse(body)
    if (isFields(parsed)) return parsed
  } catch {
    // Told below.
  }
  throw badRequest(
    `the object provided is unrecognized (must be of type ${resource.kind}): couldn't get version/kind; ` +
      `json parse error: unexpected end of JSON input (${body === '' ? '<empty>' : body.slice(0, 1024)})`
  )
}

/** The body of a POST or PUT as an object of the resource. */
export function decodeBody(resource: Resource, namespace: string, body: Fields): KubernetesObject {
  const kind = stringOf(body['kind']) ?? resource.kind
  if (kind !== resource.kind) {
    throw badRequest(
      `${kind} in version "v1" cannot be handled as a ${resource.kind}: converting (v1.${kind}) to (core.${resource.kind}): unknown conversion`
    )
  }
  const given = fieldsOf(body['metadata'])
  if (resource.namespaced && (stringOf(given['namespace']) ?? namespace) !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  try {
    return prepared(resource, body)
  } catch (error) {
    if (error instanceof StatusError) throw error
    const message = error instanceof Error ? error.message : String(error)
    throw badRequest(`${kind} in version "v1" cannot be handled as a ${resource.kind}: ${message}`)
  }
}

/** As the API takes it in: of the resource's kind, with its defaults. Throws where it is not of the type. */
export function prepared(resource: Resource, body: Fields): KubernetesObject {
  const metadata = fieldsOf(body['metadata'])
  return resource.prepare({
    ...body,
    kind: resource.kind,
    apiVersion: resource.apiVersion,
    metadata: { ...metadata, name: stringOf(metadata['name']) ?? '' }
  })
}
