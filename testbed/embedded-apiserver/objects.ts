/** Kubernetes objects, as far as the embedded API server has to know their shape. */

export interface ObjectMeta {
  readonly name: string
  readonly generateName?: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface KubernetesObject {
  readonly kind: string
  readonly apiVersion: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The fields of a map that is one, none of anything else. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

const metadataFields = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers'
]

/**
 * The object with its fields in the API's own order, maps sorted by key, empty maps and unknown fields left out: the same
 * bytes for the same content, which is what tells a write from a no-op.
 */
export function canonical(object: KubernetesObject, specificFields: readonly string[]): KubernetesObject {
  const metadata = pick(object.metadata, metadataFields)
  return {
    kind: object.kind,
    apiVersion: object.apiVersion,
    metadata: { name: object.metadata.name, ...metadata },
    ...pick(object, specificFields)
  }
}

function pick(from: object, names: readonly string[]): Fields {
  const values: Fields = { ...from }
  const picked: Record<string, unknown> = {}
  for (const name of names) {
    const value = values[name]
    if (value === undefined || value === null || value === '') continue
    if (isFields(value)) {
      const keys = Object.keys(value)
      if (keys.length > 0) picked[name] = isSorted(keys) ? value : sorted(value, keys)
    } else picked[name] = value
  }
  return picked
}

const isSorted = (keys: readonly string[]): boolean =>
  keys.every((key, index) => index === 0 || (keys[index - 1] ?? '') < key)

const sorted = (map: Fields, keys: string[]): Fields => Object.fromEntries(keys.sort().map((key) => [key, map[key]]))
