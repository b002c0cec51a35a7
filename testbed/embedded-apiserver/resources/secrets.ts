import { fieldsOf, stringOf, type KubernetesObject } from '../objects.ts'
import type { Cause } from '../status.ts'
import { age, ageColumn, nameColumn } from '../table.ts'
import { dataKeyCauses } from './data-keys.ts'
import type { Resource } from './resource.ts'

export const secrets: Resource = {
  group: '',
  plural: 'secrets',
  kind: 'Secret',
  apiVersion: 'v1',
  namespaced: true,
  encrypted: true,
  createOnUpdate: false,
  unconditionalUpdate: true,
  fields: ['immutable', 'data', 'type'],
  columns: [
    nameColumn,
    {
      name: 'Type',
      format: '',
      description:
        'Used to facilitate programmatic handling of secret data. More info: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types'
    },
    {
      name: 'Data',
      format: '',
      description:
        "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the " +
        'secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here. Described in ' +
        'https://tools.ietf.org/html/rfc4648#section-4'
    },
    ageColumn
  ],
  cells: (secret) => [
    secret.metadata.name,
    secret['type'],
    Object.keys(fieldsOf(secret['data'])).length,
    age(secret.metadata)
  ],
  prepare,
  validate,
  selectable: (secret) => ({ type: stringOf(secret['type']) ?? '' })
}

function prepare(secret: KubernetesObject): KubernetesObject {
  const { stringData, ...stored } = secret
  const data: Record<string, unknown> = { ...fieldsOf(secret['data']) }
  for (const value of Object.values(data)) assertBase64(value)
  for (const [name, text] of Object.entries(fieldsOf(stringData))) {
    data[name] = Buffer.from(String(text)).toString('base64')
  }
  const type = stringOf(stored['type']) ?? ''
  return { ...stored, data, type: type === '' ? 'Opaque' : type }
}

/** Throws Go's own words. */
function assertBase64(value: unknown): void {
  const text = String(value)
  const illegal = text.search(/[^A-Za-z0-9+/=]|=(?!=?$)/)
  if (illegal !== -1 || text.length % 4 !== 0) {
    throw new Error(`illegal base64 data at input byte ${illegal === -1 ? text.length - (text.length % 4) : illegal}`)
  }
}

const maximumSize = 1_048_576

/** The keys that a type can't be without: all of them, or for basic authentication one of them. */
const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey']
}

function validate(secret: KubernetesObject, existing: KubernetesObject | undefined): readonly Cause[] {
  const data = fieldsOf(secret['data'])
  return [
    ...(existing === undefined ? [] : changeCauses(secret, existing)),
    ...dataKeyCauses('data', data),
    ...sizeCauses(data),
    ...typeCauses(stringOf(secret['type']) ?? '', data)
  ]
}

function changeCauses(secret: KubernetesObject, existing: KubernetesObject): readonly Cause[] {
  const causes: Cause[] = []
  if (secret['type'] !== existing['type']) {
    causes.push({
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(secret['type'])}: field is immutable`,
      field: 'type'
    })
  }
  if (existing['immutable'] === true) {
    const sealed = (field: string): Cause => ({
      reason: 'FieldValueForbidden',
      message: 'Forbidden: field is immutable when `immutable` is set',
      field
    })
    if (secret['immutable'] !== true) causes.push(sealed('immutable'))
    if (!sameData(fieldsOf(secret['data']), fieldsOf(existing['data']))) causes.push(sealed('data'))
  }
  return causes
}

function sameData(a: object, b: object): boolean {
  const [entries, others] = [Object.entries(a), new Map(Object.entries(b))]
  return entries.length === others.size && entries.every(([name, value]) => others.get(name) === value)
}

function sizeCauses(data: object): readonly Cause[] {
  const size = Object.values(data).reduce<number>((sum, value) => sum + Buffer.byteLength(String(value), 'base64'), 0)
  if (size <= maximumSize) return []
  return [
    { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maximumSize} bytes`, field: 'data' }
  ]
}

function typeCauses(type: string, data: Readonly<Record<string, unknown>>): readonly Cause[] {
  const causes = (requiredKeys[type] ?? [])
    .filter((key) => data[key] === undefined)
    .map((key): Cause => ({ reason: 'FieldValueRequired', message: 'Required value', field: `data[${key}]` }))
  const config = stringOf(data['.dockerconfigjson'])
  if (type !== 'kubernetes.io/dockerconfigjson' || config === undefined) return causes
  try {
    JSON.parse(Buffer.from(config, 'base64').toString())
    return causes
  } catch {
    const message = 'Invalid value: "<secret contents redacted>": invalid character looking for beginning of value'
    return [...causes, { reason: 'FieldValueInvalid', message, field: 'data[.dockerconfigjson]' }]
  }
}
