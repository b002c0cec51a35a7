import type { KubernetesObject } from '../objects.ts'
import type { Cause, ResourceName } from '../status.ts'
import type { Column } from '../table.ts'

/** What sets one resource apart from the others; everything else is in the registry. */
export interface Resource extends ResourceName {
  readonly apiVersion: string
  readonly namespaced: boolean
  /** Whether an object lies in etcd under the EncryptionConfiguration or as it is. */
  readonly encrypted: boolean
  /** PUT makes an object that is not there. */
  readonly createOnUpdate: boolean
  /** PUT without resourceVersion overwrites. */
  readonly unconditionalUpdate: boolean
  /** The fields after `metadata`, in the API's order. */
  readonly fields: readonly string[]
  readonly columns: readonly Column[]
  /** A row of the Table. */
  readonly cells: (object: KubernetesObject) => readonly unknown[]
  /** Fields that clients may not write, and defaults. Throws where the JSON can't be decoded into the type. */
  readonly prepare: (object: KubernetesObject) => KubernetesObject
  readonly validate: (object: KubernetesObject, existing: KubernetesObject | undefined) => readonly Cause[]
  /** What a field selector may ask for, besides name and namespace. */
  readonly selectable: (object: KubernetesObject) => Readonly<Record<string, string>>
}
