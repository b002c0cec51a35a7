import type { Cause } from '../status.ts'

/** The keys of a Secret's or a ConfigMap's data become file names. */
export function dataKeyCauses(field: string, data: object): readonly Cause[] {
  return Object.keys(data)
    .filter((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key))
    .map((key) => ({
      reason: 'FieldValueInvalid',
      message:
        `Invalid value: ${JSON.stringify(key)}: a valid config key must consist of alphanumeric characters, '-', '_' or '.' ` +
        "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      field: `${field}[${key}]`
    }))
}
