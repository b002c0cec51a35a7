import { fieldsOf, type KubernetesObject } from '../objects.ts'
import { age, ageColumn, nameColumn } from '../table.ts'
import type { Resource } from './resource.ts'

export const leases: Resource = {
  group: 'coordination.k8s.io',
  plural: 'leases',
  kind: 'Lease',
  apiVersion: 'coordination.k8s.io/v1',
  namespaced: true,
  encrypted: false,
  createOnUpdate: true,
  unconditionalUpdate: false,
  fields: ['spec'],
  columns: [
    nameColumn,
    {
      name: 'Holder',
      format: '',
      description: 'holderIdentity contains the identity of the holder of a current lease.'
    },
    ageColumn
  ],
  cells: (lease) => [lease.metadata.name, fieldsOf(lease['spec'])['holderIdentity'] ?? null, age(lease.metadata)],
  prepare,
  validate: (lease) => {
    const duration = fieldsOf(lease['spec'])['leaseDurationSeconds']
    if (typeof duration !== 'number' || duration > 0) return []
    const message = `Invalid value: ${duration}: must be greater than 0`
    return [{ reason: 'FieldValueInvalid', message, field: 'spec.leaseDurationSeconds' }]
  },
  selectable: () => ({})
}

const specFields = [
  'holderIdentity',
  'leaseDurationSeconds',
  'acquireTime',
  'renewTime',
  'leaseTransitions',
  'strategy',
  'preferredHolder'
]

function prepare(lease: KubernetesObject): KubernetesObject {
  const given = fieldsOf(lease['spec'])
  const spec: Record<string, unknown> = {}
  for (const name of specFields) if (given[name] !== undefined && given[name] !== null) spec[name] = given[name]
  for (const name of ['acquireTime', 'renewTime']) assertMicroTime(spec[name])
  return { ...lease, spec }
}

/** A MicroTime has six decimals, no more and no fewer. Throws Go's own words. */
function assertMicroTime(text: unknown): void {
  if (typeof text !== 'string') return
  const seconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.exec(text)?.[0]
  const rest = seconds === undefined ? text : text.slice(seconds.length)
  if (seconds !== undefined && /^\.\d{6}(Z|[+-]\d\d:\d\d)$/.test(rest)) return
  throw new Error(
    `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05.000000Z07:00": ` +
      `cannot parse ${JSON.stringify(rest)} as ${seconds === undefined ? '"2006"' : '".000000"'}`
  )
}
