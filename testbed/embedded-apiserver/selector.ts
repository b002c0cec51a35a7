import type { KubernetesObject } from './objects.ts'
import { badRequest } from './status.ts'

/** Whether a list is to show the object, whose further selectable fields are given. */
export type Selector = (object: KubernetesObject, fields: Readonly<Record<string, string>>) => boolean

type Requirement = (values: Readonly<Record<string, string | undefined>>) => boolean

/** Undefined where nothing is asked for. Of label selectors, those with `=`, `==`, `!=`, `key` and `!key` are understood. */
export function parseSelector(labelSelector: string, fieldSelector: string): Selector | undefined {
  if (labelSelector === '' && fieldSelector === '') return undefined
  const labels = requirements(labelSelector)
  const fields = requirements(fieldSelector)
  return ({ metadata }, further) => {
    const selectable = { 'metadata.name': metadata.name, 'metadata.namespace': metadata.namespace ?? '', ...further }
    return labels.every((holds) => holds(metadata.labels ?? {})) && fields.every((holds) => holds(selectable))
  }
}

function requirements(selector: string): readonly Requirement[] {
  return selector
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map(requirement)
}

function requirement(text: string): Requirement {
  const [, negation = '', key = '', operator = '', value = ''] =
    /^(!?)([^=!\s]+)\s*(?:(!=|==?)\s*(.*))?$/.exec(text) ?? []
  if (key === '') throw badRequest(`unable to parse requirement: ${text}`)
  if (operator === '') return (values) => (values[key] === undefined) === (negation === '!')
  return (values) => (values[key] === value) === (operator !== '!=')
}
