import type { Form } from './negotiation.ts'
import type { KubernetesObject } from './objects.ts'
import type { List } from './registry.ts'
import type { Resource } from './resources/resource.ts'
import { badRequest, StatusError } from './status.ts'
import { columnDefinition } from './table.ts'

/** One object in the form that was asked for; `includeObject` is the query's, for Tables. */
export function representObject(
  resource: Resource,
  object: KubernetesObject,
  form: Form,
  includeObject: string
): object {
  switch (form.as) {
    case '':
      return object
    case 'Table':
      return table(resource, [object], { resourceVersion: object.metadata.resourceVersion }, form, includeObject)
    case 'PartialObjectMetadata':
      return partial(object, form)
    case 'PartialObjectMetadataList':
      throw notAcceptable(`you requested ${form.as}, but the requested object is not a list (*core.${resource.kind})`)
  }
}

export function representList(
  resource: Resource,
  { items, metadata }: List,
  form: Form,
  includeObject: string
): object {
  switch (form.as) {
    case '':
      return { kind: `${resource.kind}List`, apiVersion: resource.apiVersion, metadata, items: items.map(withoutType) }
    case 'Table':
      return table(resource, items, metadata, form, includeObject)
    case 'PartialObjectMetadata':
      throw notAcceptable(`you requested ${form.as}, but the requested object is a list (*core.${resource.kind}List)`)
    case 'PartialObjectMetadataList':
      return {
        kind: 'PartialObjectMetadataList',
        apiVersion: `meta.k8s.io/${form.version}`,
        metadata,
        items: items.map((object) => partial(object, form))
      }
  }
}

function table(
  resource: Resource,
  objects: readonly KubernetesObject[],
  metadata: object,
  form: Form,
  includeObject: string
): object {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${form.version}`,
    metadata,
    columnDefinitions: resource.columns.map(columnDefinition),
    rows: objects.map((object) => ({ cells: resource.cells(object), object: rowObject(object, form, includeObject) }))
  }
}

function rowObject(object: KubernetesObject, form: Form, includeObject: string): object | null {
  switch (includeObject) {
    case 'None':
      return null
    case 'Object':
      return object
    case 'Metadata':
    case '':
      return partial(object, form)
    default:
      throw badRequest(
        `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(includeObject)}: ` +
          "must be 'Metadata', 'Object', 'None', or empty"
      )
  }
}

const partial = ({ metadata }: KubernetesObject, { version }: Form): object => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `meta.k8s.io/${version}`,
  metadata
})

const withoutType = ({ kind: _, apiVersion: __, ...rest }: KubernetesObject): object => rest

const notAcceptable = (message: string): StatusError => new StatusError(406, 'NotAcceptable', message)
