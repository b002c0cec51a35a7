import type { ObjectMeta } from './objects.ts'

/** One column of a resource's Table, as kubectl prints it. */
export interface Column {
  readonly name: string
  readonly format: string
  readonly description: string
}

export const nameColumn: Column = {
  name: 'Name',
  format: 'name',
  description:
    'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to ' +
    'request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and ' +
    'configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names'
}

export const ageColumn: Column = {
  name: 'Age',
  format: '',
  description:
    'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in ' +
    'happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in ' +
    'UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: ' +
    'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata'
}

export const columnDefinition = ({ name, format, description }: Column): object => ({
  name,
  type: 'string',
  format,
  description,
  priority: 0
})

export function age({ creationTimestamp }: ObjectMeta): string {
  return creationTimestamp === undefined ? '<unknown>' : humanDuration(Date.now() - Date.parse(creationTimestamp))
}

/** Two units at most, the coarser the longer, as in `kubectl get`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  const years = Math.floor(days / 365)
  if (seconds < -1) return '<invalid>'
  if (seconds < 120) return `${Math.max(seconds, 0)}s`
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (days < 8) return two(days, 'd', hours % 24, 'h')
  if (years < 2) return `${days}d`
  return years < 8 ? two(years, 'y', days % 365, 'd') : `${years}y`
}

const two = (coarse: number, coarseUnit: string, fine: number, fineUnit: string): string =>
  fine === 0 ? `${coarse}${coarseUnit}` : `${coarse}${coarseUnit}${fine}${fineUnit}`
