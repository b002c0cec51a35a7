import { fieldsOf } from '../objects.ts'
import { age, ageColumn, nameColumn } from '../table.ts'
import { dataKeyCauses } from './data-keys.ts'
import type { Resource } from './resource.ts'

export const configMaps: Resource = {
  group: '',
  plural: 'configmaps',
  kind: 'ConfigMap',
  apiVersion: 'v1',
  namespaced: true,
  encrypted: false,
  createOnUpdate: false,
  unconditionalUpdate: true,
  fields: ['immutable', 'data', 'binaryData'],
  columns: [nameColumn, { name: 'Data', format: '', description: 'Data contains the configuration data.' }, ageColumn],
  cells: (map) => [
    map.metadata.name,
    Object.keys(fieldsOf(map['data'])).length + Object.keys(fieldsOf(map['binaryData'])).length,
    age(map.metadata)
  ],
  prepare: (map) => map,
  validate: (map) => dataKeyCauses('data', fieldsOf(map['data'])),
  selectable: () => ({})
}
