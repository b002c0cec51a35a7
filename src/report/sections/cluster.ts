import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../model/json.ts'
import type { ClusterSnapshot } from '../../model/report.ts'
import { bold, code, details, table } from '../markdown.ts'
import { clip, plural } from '../text.ts'
import { blocks, keyCode, leftOut, type Limits, type Section } from './section.ts'

/** The security profile and the Kubernetes version before and after; folded in where nothing changed. */
export const clusterSection: Section = ({ before, after, changed }, { limits }) => {
  const [from, to] = [before ?? after, after ?? before]
  if (from === undefined || to === undefined) return ''
  const rows = compare(propertiesOf(from), propertiesOf(to))
  if (changed && before === undefined) return blocks('#### The new cluster', profileTable(rows, limits))
  const unchanged = rows.every(({ changed }) => !changed)
  if (unchanged) return details('Security profile of the cluster', profileTable(rows, limits))
  const telling = rows.filter(({ path, changed }) => changed || isKms(path))
  const others = rows.filter((row) => !telling.includes(row))
  const title = `${plural(others.length, 'other property', 'other properties')}, unchanged`
  return blocks(
    '#### Cluster before and after',
    comparisonTable(telling, limits),
    others.length === 0 ? '' : details(title, profileTable(others, limits))
  )
}

interface Row {
  readonly path: string
  readonly before: Json | undefined
  readonly after: Json | undefined
  readonly changed: boolean
}

/** Dotted paths to values: the KMS profile first, then the Kubernetes version, then the others as Azure has them. */
function propertiesOf({ securityProfile, kubernetesVersion }: ClusterSnapshot): ReadonlyMap<string, Json> {
  return new Map([['Kubernetes version', kubernetesVersion], ...flatten(securityProfile)])
}

function flatten(object: JsonObject, path = ''): readonly (readonly [string, Json])[] {
  return Object.entries(object).flatMap(([name, value]) =>
    isJsonObject(value) && Object.keys(value).length > 0
      ? flatten(value, `${path}${name}.`)
      : [[`${path}${name}`, value] as const]
  )
}

function compare(before: ReadonlyMap<string, Json>, after: ReadonlyMap<string, Json>): readonly Row[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])]
  return [...paths.filter(isKms), ...paths.filter((path) => !isKms(path))].map((path) => {
    const row = { path, before: before.get(path), after: after.get(path) }
    return { ...row, changed: comparable(row.before) !== comparable(row.after) }
  })
}

function isKms(path: string): boolean {
  return /^azureKeyVaultKms(\.|$)/.test(path)
}

/** Azure may give an id back in another case than before, and an empty text where there was nothing. */
function comparable(value: Json | undefined): string {
  return isNothing(value) ? '' : canonicalJson(value).toLowerCase()
}

function isNothing(value: Json | undefined): value is undefined | null | '' {
  return value === undefined || value === null || value === ''
}

function comparisonTable(rows: readonly Row[], limits: Limits): string {
  const cells = rows.slice(0, limits.rows).map(({ path, before, after, changed }) => {
    const strong = changed ? bold : String
    return [`${changed ? '● ' : ''}${strong(code(path))}`, show(before, limits), strong(show(after, limits))]
  })
  const columns = [{ title: 'Property' }, { title: 'Before' }, { title: 'After' }]
  return blocks(table(columns, cells), leftOut(rows.length, cells.length))
}

function profileTable(rows: readonly Row[], limits: Limits): string {
  const cells = rows.slice(0, limits.rows).map(({ path, after }) => [code(path), show(after, limits)])
  return blocks(table([{ title: 'Property' }, { title: 'Value' }], cells), leftOut(rows.length, cells.length))
}

function show(value: Json | undefined, limits: Limits): string {
  if (isNothing(value)) return '–'
  if (typeof value !== 'string') return code(clip(JSON.stringify(value), limits.cell))
  return value.startsWith('https://') && value.includes('/keys/') ? keyCode(value) : code(clip(value, limits.cell))
}
