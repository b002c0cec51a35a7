import type { PreparedResource } from '../../model/prepared-resources.ts'
import type { RunReport } from '../../model/report.ts'
import { bold, code, prose, table } from '../markdown.ts'
import { clip } from '../text.ts'
import { blocks, type Section } from './section.ts'

/** With spaces that don't break: the column is narrow. */
const STATE: Readonly<Record<PreparedResource['state'] | 'planned', string>> = {
  made: '🆕\u00a0made',
  'was-there': '✅\u00a0was\u00a0there',
  differs: '⚠️\u00a0differs',
  missing: '➖\u00a0missing',
  planned: '➕\u00a0to\u00a0be\u00a0made'
}

/** What `prepare` made, found as asked for, and found otherwise; and once all of it is there, what to do with it. */
export const resourcesSection: Section = (report, { limits }) => {
  const { resources, dryRun } = report
  if (resources.length === 0) return ''
  const rows = resources.map(({ kind, name, state, sentence, differences }) => [
    STATE[state === 'missing' && dryRun ? 'planned' : state],
    bold(isRole(kind) ? prose(name) : code(name)),
    [sentence, ...differences.map((difference) => difference.sentence)]
      .map((text) => prose(clip(text, limits.cell)))
      .join('<br>')
  ])
  return blocks(
    '#### Key, vault, identity and permissions',
    table([{ title: 'State' }, { title: 'Name' }, { title: 'What it is' }], rows),
    report.result === 'done' ? whatNext(report) : ''
  )
}

function isRole(kind: PreparedResource['kind']): boolean {
  return kind === 'use-key' || kind === 'approve-private-endpoint'
}

/** The inputs of the operations that come after, to copy. */
function whatNext({ resources }: RunReport): string {
  const id = (kind: PreparedResource['kind']): string => resources.find((resource) => resource.kind === kind)?.id ?? ''
  const isPrivate = resources.some(({ kind }) => kind === 'approve-private-endpoint')
  const inputs = [
    `key-id: ${id('key')}`,
    ...(isPrivate ? ['key-vault-network-access: Private', `key-vault-resource-id: ${id('vault')}`] : []),
    `identity-resource-id: ${id('identity')}`
  ]
  return blocks(
    `Inputs for ${code('create')}, and for ${code('enable')} on a cluster whose control plane has this identity (it takes no ${code('identity-resource-id')}):`,
    ['```yaml', ...inputs, '```'].join('\n')
  )
}
