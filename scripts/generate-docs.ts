import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { format, resolveConfig } from 'prettier'
import { parseReusableWorkflow, readAction, type Metadata } from './metadata.ts'
import { operateWorkflow } from './operate-workflow.ts'
import { readPublicName } from './public-name.ts'

const OPERATE = '.github/workflows/operate.yml'

/** Every file that may name the action's public repository, or has generated parts. */
const DOCUMENTS: readonly string[] = [
  // The first, because the documents have tables of it.
  OPERATE,
  ...['*.md', 'docs/**/*.md', 'workflows/*', '.github/ISSUE_TEMPLATE/*.yml', '.github/zizmor.yml']
]

/** The workflow that README shows whole. */
const QUICK_START = 'workflows/scheduled-rotation.yml'

/** The inputs of an action or a reusable workflow as a Markdown table. */
export function inputsTable({ inputs }: Metadata): string {
  const typed = Object.values(inputs).some(({ type }) => type !== undefined)
  const rows = Object.entries(inputs).map(([name, input]) => {
    const fallback =
      input.required === true ? '**required**' : input.default === undefined ? '' : `\`${String(input.default)}\``
    return [`\`${name}\``, ...(typed ? [input.type ?? ''] : []), cell(input.description), fallback]
  })
  return table(['Input', ...(typed ? ['Type'] : []), 'Description', 'Default'], rows)
}

/** The outputs of an action or a reusable workflow as a Markdown table; empty where there are none. */
export function outputsTable({ outputs }: Metadata): string {
  if (outputs === undefined) return ''
  const rows = Object.entries(outputs).map(([name, output]) => [`\`${name}\``, cell(output.description)])
  return table(['Output', 'Description'], rows)
}

/**
 * Puts `content` between `<!-- start name -->` and `<!-- end name -->`, or in YAML `# start name` and `# end name`. Throws where the
 * markers are missing.
 */
export function between(document: string, name: string, content: string): string {
  const markdown = splitAt(document, `<!-- start ${name} -->`, `<!-- end ${name} -->`)
  if (markdown !== undefined) return `${markdown.before}\n\n${content}\n\n${markdown.after}`
  const yaml = splitAt(document, `# start ${name}\n`, `# end ${name}\n`)
  if (yaml === undefined) throw new Error(`The markers “start ${name}” and “end ${name}” are missing.`)
  const indentation = / *$/.exec(document.slice(0, document.indexOf(`# start ${name}\n`)))?.[0] ?? ''
  return `${yaml.before}${content}\n${indentation}${yaml.after}`
}

/** What is before and after the place between two markers, the markers included. */
function splitAt(document: string, start: string, end: string): { before: string; after: string } | undefined {
  const [from, to] = [document.indexOf(start), document.indexOf(end)]
  if (from < 0 || to < from) return undefined
  return { before: document.slice(0, from + start.length), after: document.slice(to) }
}

/**
 * Spells the public repository as `publicName` (`OWNER/NAME`) wherever a document names it. It is known by its NAME, so that
 * only the owner may be out of date.
 */
export function withPublicName(document: string, publicName: string): string {
  const name = publicName.slice(publicName.indexOf('/') + 1)
  return document.replaceAll(new RegExp(`(?<=uses: |--repo |github\\.com/|^ +)[\\w.-]+/${name}\\b`, 'gm'), publicName)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function cell(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|')
}

/** Every document as it should be, by path. */
export async function documents(): Promise<ReadonlyMap<string, string>> {
  const publicName = readPublicName()
  const current = new Map<string, string>()
  for (const path of DOCUMENTS.flatMap((pattern) => globSync(pattern))) {
    const text = withPublicName(readFileSync(path, 'utf8'), publicName)
    const parts = PARTS[path]
    current.set(path, parts === undefined ? text : await fill(path, text, parts(publicName, current)))
  }
  return current
}

type Parts = (publicName: string, current: ReadonlyMap<string, string>) => Readonly<Record<string, string>>

/** What is generated into a document, by the names of its markers; `current` has the documents before it. */
const PARTS: Readonly<Record<string, Parts>> = {
  'README.md': (publicName) => ({
    [QUICK_START]: `\`\`\`yaml\n${withPublicName(readFileSync(QUICK_START, 'utf8'), publicName)}\`\`\``,
    inputs: inputsTable(readAction('.')),
    outputs: outputsTable(readAction('.'))
  }),
  'docs/report-action.md': () => ({
    inputs: inputsTable(readAction('report')),
    outputs: outputsTable(readAction('report'))
  }),
  [OPERATE]: () => operateWorkflow(readAction('.')),
  'docs/workflows.md': (_, current) => ({
    'rotate.yml': tables(parseReusableWorkflow(readFileSync('.github/workflows/rotate.yml', 'utf8'))),
    'change.yml': tables(parseReusableWorkflow(readFileSync('.github/workflows/change.yml', 'utf8'))),
    'operate.yml': tables(parseReusableWorkflow(current.get(OPERATE) ?? '')),
    'fleet.yml': tables(parseReusableWorkflow(readFileSync('.github/workflows/fleet.yml', 'utf8'))),
    'matrix/action.yml': tables(readAction('matrix'))
  })
}

function tables(metadata: Metadata): string {
  return [inputsTable(metadata), outputsTable(metadata)].filter((text) => text !== '').join('\n\n')
}

async function fill(path: string, text: string, parts: Readonly<Record<string, string>>): Promise<string> {
  const filled = Object.entries(parts).reduce((document, [name, part]) => between(document, name, part), text)
  return await format(filled, { ...(await resolveConfig(path)), filepath: path })
}

async function main(check: boolean): Promise<void> {
  for (const [path, text] of await documents()) {
    if (readFileSync(path, 'utf8') === text) continue
    if (check) {
      console.error(`${path} is out of date: run \`npm run docs\`.`)
      process.exitCode = 1
    } else {
      writeFileSync(path, text)
      console.log(`Wrote ${path}.`)
    }
  }
}

if (import.meta.main) await main(process.argv.includes('--check'))
