import { fieldsOf, stringOf, type KubernetesObject } from '../objects.ts'
import { age, ageColumn, nameColumn } from '../table.ts'
import type { Resource } from './resource.ts'

export const namespaces: Resource = {
  group: '',
  plural: 'namespaces',
  kind: 'Namespace',
  apiVersion: 'v1',
  namespaced: false,
  encrypted: false,
  createOnUpdate: false,
  unconditionalUpdate: true,
  fields: ['spec', 'status'],
  columns: [
    nameColumn,
    {
      name: 'Status',
      format: '',
      description: 'The status of the namespace'
    },
    ageColumn
  ],
  cells: (namespace) => [
    namespace.metadata.name,
    fieldsOf(namespace['status'])['phase'] ?? 'Active',
    age(namespace.metadata)
  ],
  prepare,
  validate: () => [],
  selectable: (namespace) => ({ 'status.phase': stringOf(fieldsOf(namespace['status'])['phase']) ?? 'Active' })
}

function prepare(namespace: KubernetesObject): KubernetesObject {
  const { name, labels } = namespace.metadata
  return {
    ...namespace,
    metadata: { ...namespace.metadata, labels: { ...labels, 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: namespace.metadata.deletionTimestamp === undefined ? 'Active' : 'Terminating' }
  }
}
