import type { ApiServer, ApiServerState, KeyUse } from '../../model/api-servers.ts'
import { bold, code, table } from '../markdown.ts'
import { formatMoment, formatNumber, shortHash, shortVersion } from '../text.ts'
import { blocks, leftOut } from './section.ts'

/** Other keys of one API server that are shown: those used last. */
const MOST_OTHER_KEYS = 3

const STATE: Readonly<Record<ApiServerState, readonly [icon: string, word: string]>> = {
  current: ['✅', 'current'],
  behind: ['❌', 'behind'],
  unknown: ['⚠️', 'unknown']
}

export interface TableContext {
  /** Key versions by the hash that metrics have of them. */
  readonly keyIds: ReadonlyMap<string, string>
  /** Of the run: times of the same day are shown without it. */
  readonly startedAt: string
  /** Which key it should be is not known, so that none is strange and no state is told. */
  readonly unknownKey: boolean
  /** Rows. */
  readonly most: number
}

/**
 * A row for each API server, those first that are not as they should be, and one for all those that were not met; empty where
 * none was.
 */
export function apiServersTable(servers: readonly ApiServer[], unmet: number, context: TableContext): string {
  if (servers.length === 0) return ''
  const rank = ({ state }: ApiServer): number => (state === 'current' ? 1 : 0)
  const shown = servers.toSorted((a, b) => rank(a) - rank(b)).slice(0, context.most)
  const columns = ['API server', 'Writes under', 'Last write', 'Other keys, last used', 'Started']
  const rows = shown.map((server) => row(server, context))
  if (unmet > 0) rows.unshift([`⚠️ ${bold(`${formatNumber(unmet)} not met`)}`, '–', '–', '–', '–'])
  return blocks(
    table(
      columns.map((title) => ({ title })),
      rows
    ),
    leftOut(servers.length, shown.length),
    'Times are in UTC, by the clock of each API server.'
  )
}

function row(server: ApiServer, context: TableContext): readonly string[] {
  const written = writeKey(server)
  const [icon, word] = STATE[server.state]
  const strong = server.state === 'behind' ? bold : String
  const id = code(shortHash(server.id))
  return [
    context.unknownKey ? id : `${icon} ${id} ${strong(word)}`,
    written === undefined ? '–' : strong(keyName(written, context)),
    moment(written?.lastWriteAt, context),
    otherKeys(server, written, context),
    moment(server.startedAt, context)
  ]
}

/** One that is current writes under the wanted key, whether it has had to yet or not, and under none where none is wanted. */
function writeKey({ state, keys }: ApiServer): KeyUse | undefined {
  if (state === 'current') return keys.find((key) => key.wanted)
  return lastWritten(keys)
}

export function lastWritten(keys: readonly KeyUse[]): KeyUse | undefined {
  const written = keys.filter(({ lastWriteAt }) => lastWriteAt !== undefined)
  return latestFirst(written, ({ lastWriteAt }) => lastWriteAt)[0]
}

function otherKeys({ keys }: ApiServer, written: KeyUse | undefined, context: TableContext): string {
  const used = keys.filter((key) => key !== written && lastUse(key) !== '')
  const shown = latestFirst(used, lastUse).slice(0, MOST_OTHER_KEYS)
  const cells = shown.map((key) => {
    const read = key.lastReadAt === undefined ? [] : [`read ${moment(key.lastReadAt, context)}`]
    const written = key.lastWriteAt === undefined ? [] : [`written ${moment(key.lastWriteAt, context)}`]
    return `${keyName(key, context)} ${[...read, ...written].join(', ')}`
  })
  if (used.length > shown.length) cells.push(`and ${formatNumber(used.length - shown.length)} more`)
  return cells.length === 0 ? '–' : cells.join('<br>')
}

/** Times of one API server in ISO 8601 sort as text. */
function latestFirst(keys: readonly KeyUse[], time: (key: KeyUse) => string | undefined): readonly KeyUse[] {
  return keys.toSorted((a, b) => (time(b) ?? '').localeCompare(time(a) ?? ''))
}

function lastUse({ lastReadAt = '', lastWriteAt = '' }: KeyUse): string {
  return lastReadAt > lastWriteAt ? lastReadAt : lastWriteAt
}

function keyName({ keyIdHash }: KeyUse, { keyIds, unknownKey }: TableContext): string {
  const keyId = keyIds.get(keyIdHash)
  if (keyId !== undefined) return code(shortVersion(keyId))
  return unknownKey ? code(shortHash(keyIdHash)) : `unknown key ${code(shortHash(keyIdHash))}`
}

function moment(iso: string | undefined, { startedAt }: TableContext): string {
  return iso === undefined ? '–' : formatMoment(iso, startedAt)
}
