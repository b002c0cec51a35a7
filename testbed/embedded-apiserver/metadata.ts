import { randomBytes } from 'node:crypto'

import type { KubernetesObject, ObjectMeta } from './objects.ts'
import type { Resource } from './resources/resource.ts'
import type { Cause } from './status.ts'

/** Where the object stands in etcd, which is not part of what is stored. */
export const withRevision = (object: KubernetesObject, revision: number): KubernetesObject => {
  const { name, namespace, uid, ...rest } = object.metadata
  const metadata = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...rest,
    resourceVersion: String(revision)
  }
  return { ...object, metadata }
}

export const withoutRevision = (object: KubernetesObject): KubernetesObject => {
  const { resourceVersion: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** What clients can't change in metadata. */
export function kept(changed: ObjectMeta, existing: ObjectMeta): ObjectMeta {
  return {
    ...changed,
    ...(existing.namespace === undefined ? {} : { namespace: existing.namespace }),
    ...(existing.uid === undefined ? {} : { uid: existing.uid }),
    ...(existing.creationTimestamp === undefined ? {} : { creationTimestamp: existing.creationTimestamp })
  }
}

export function metadataCauses(changed: ObjectMeta, existing: ObjectMeta): readonly Cause[] {
  if (changed.uid === undefined || changed.uid === '' || changed.uid === existing.uid) return []
  const message = `Invalid value: ${JSON.stringify(changed.uid)}: field is immutable`
  const cause = { reason: 'FieldValueInvalid', message, field: 'metadata.uid' }
  return [cause, cause]
}

export const nameRequired: Cause = {
  reason: 'FieldValueRequired',
  message: 'Required value: name or generateName is required',
  field: 'metadata.name'
}

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

export function nameCauses(resource: Resource, name: string): readonly Cause[] {
  const [pattern, length, rule] = resource.namespaced
    ? [
        subdomain,
        253,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end " +
          "with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
          "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
      ]
    : [
        label,
        63,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an " +
          "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
      ]
  if (pattern.test(name) && name.length <= length) return []
  const message = `Invalid value: ${JSON.stringify(name)}: ${pattern.test(name) ? `must be no more than ${length} characters` : rule}`
  return [{ reason: 'FieldValueInvalid', message, field: 'metadata.name' }]
}

export const generatedName = ({ generateName = '' }: ObjectMeta): string =>
  generateName === '' ? '' : `${generateName}${randomBytes(4).toString('hex').slice(0, 5)}`
