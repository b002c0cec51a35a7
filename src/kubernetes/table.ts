import { asText, isJsonObject } from '../model/json.ts'
import { jsonOf } from './api.ts'
import type { HttpAnswer } from './transport.ts'

/**
 * The strictest form of an answer: no labels, annotations or values, whatever the object. There is no plain
 * `application/json` to fall back to: an API server that can't reduce its answer must refuse.
 * Source: kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 */
export const TABLE_ONLY = 'application/json;as=Table;g=meta.k8s.io;v=v1'
export const WITHOUT_OBJECTS = 'includeObject=None'

/** One page of a list. */
export interface NamePage {
  readonly names: readonly string[]
  readonly resourceVersion: string
  /** Empty on the last page. */
  readonly continueToken: string
  /** How many there are after this page, as far as the API server says. */
  readonly remaining: number
}

/** Undefined when the answer is not such a table. */
export function readNames(answer: HttpAnswer): NamePage | undefined {
  const table = jsonOf(answer)
  const metadata = table?.['metadata']
  const columns = table?.['columnDefinitions']
  const rows = table?.['rows'] ?? []
  if (table?.['kind'] !== 'Table' || !isJsonObject(metadata) || !Array.isArray(rows) || !Array.isArray(columns)) return
  const column = columns.findIndex((definition) => isJsonObject(definition) && definition['name'] === 'Name')
  const names = rows.map((row) =>
    isJsonObject(row) && Array.isArray(row['cells']) ? asText(row['cells'][column]) : ''
  )
  const resourceVersion = asText(metadata['resourceVersion'])
  if (names.includes('') || !isResourceVersion(resourceVersion)) return
  const { continue: continueToken, remainingItemCount: remaining } = metadata
  return {
    names,
    resourceVersion,
    continueToken: asText(continueToken),
    remaining: typeof remaining === 'number' ? remaining : 0
  }
}

const BEGINNING = /^\{"kind":"Table","apiVersion":"meta\.k8s\.io\/v1","metadata":\{"resourceVersion":"(\d+)"/

/**
 * The resourceVersion of the one object that a table is about; undefined when the answer is not such a table.
 * The columns' descriptions, most of the answer, are not parsed: there is one such answer for each Secret.
 */
export function readResourceVersion(answer: HttpAnswer): string | undefined {
  const quick = BEGINNING.exec(answer.body.toString('latin1', 0, 160))?.[1]
  if (quick !== undefined) return quick
  const table = jsonOf(answer)
  const metadata = table?.['metadata']
  if (table?.['kind'] !== 'Table' || !isJsonObject(metadata)) return
  const resourceVersion = asText(metadata['resourceVersion'])
  return isResourceVersion(resourceVersion) ? resourceVersion : undefined
}

/** Resource versions are compared as the integers they are, which may be beyond what a number holds. */
export function isNewer(resourceVersion: string, than: string): boolean {
  return resourceVersion.length === than.length ? resourceVersion > than : resourceVersion.length > than.length
}

function isResourceVersion(text: string): boolean {
  return /^(0|[1-9]\d*)$/.test(text)
}
