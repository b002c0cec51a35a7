import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { load } from 'js-yaml'
import { format, resolveConfig } from 'prettier'

/** Every file for people that may name the action's public repository. */
const DOCUMENTS: readonly string[] = ['*.md', 'docs/**/*.md', 'workflows/**/*.yml', '.github/ISSUE_TEMPLATE/*.yml']

/** The workflow that README shows whole. */
const QUICK_START = 'workflows/scheduled-rotation.yml'

/** The page on the action in report/. */
const REPORT_PAGE = 'docs/report-action.md'

interface Input {
  readonly description: string
  readonly required?: boolean
  readonly default?: string
}

interface ActionMetadata {
  readonly inputs: Readonly<Record<string, Input>>
  readonly outputs: Readonly<Record<string, { readonly description: string }>>
}

/** The inputs of action.yml as a Markdown table. */
export function inputsTable(actionYml: string): string {
  const { inputs } = load(actionYml) as ActionMetadata
  const rows = Object.entries(inputs).map(([name, input]) => {
    const fallback =
      input.required === true ? '**required**' : input.default === undefined ? '' : `\`${input.default}\``
    return [`\`${name}\``, cell(input.description), fallback]
  })
  return table(['Input', 'Description', 'Default'], rows)
}

/** The outputs of action.yml as a Markdown table. */
export function outputsTable(actionYml: string): string {
  const { outputs } = load(actionYml) as ActionMetadata
  const rows = Object.entries(outputs).map(([name, output]) => [`\`${name}\``, cell(output.description)])
  return table(['Output', 'Description'], rows)
}

/** Puts `content` between `<!-- start name -->` and `<!-- end name -->`. Throws where the markers are missing. */
export function between(document: string, name: string, content: string): string {
  const [start, end] = [`<!-- start ${name} -->`, `<!-- end ${name} -->`]
  const [from, to] = [document.indexOf(start), document.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`The markers “${start}” and “${end}” are missing.`)
  return `${document.slice(0, from + start.length)}\n\n${content}\n\n${document.slice(to)}`
}

/**
 * Spells the public repository as `publicName` (`OWNER/NAME`) wherever a document names it. It is known by its NAME, so that
 * only the owner may be out of date.
 */
export function withPublicName(document: string, publicName: string): string {
  const name = publicName.slice(publicName.indexOf('/') + 1)
  return document.replaceAll(new RegExp(`(?<=uses: |github\\.com/)[\\w.-]+/${name}\\b`, 'g'), publicName)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function cell(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|')
}

/** `OWNER/NAME` of the public repository; package.json's `repository`, `github:OWNER/NAME`, is the one place that says it. */
export function readPublicName(): string {
  const { repository } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly repository: string }
  return repository.replace(/^github:/, '')
}

/** Every document as it should be, by path. */
export async function documents(): Promise<ReadonlyMap<string, string>> {
  const actionYml = readFileSync('action.yml', 'utf8')
  const publicName = readPublicName()
  const current = new Map<string, string>()
  for (const path of DOCUMENTS.flatMap((pattern) => globSync(pattern))) {
    const text = withPublicName(readFileSync(path, 'utf8'), publicName)
    const whole = path === 'README.md' ? await readme(text, actionYml, publicName) : text
    current.set(
      path,
      path === REPORT_PAGE ? await withTables(whole, path, readFileSync('report/action.yml', 'utf8')) : whole
    )
  }
  return current
}

async function readme(text: string, actionYml: string, publicName: string): Promise<string> {
  const workflow = withPublicName(readFileSync(QUICK_START, 'utf8'), publicName)
  const parts = {
    [QUICK_START]: `\`\`\`yaml\n${workflow}\`\`\``,
    inputs: inputsTable(actionYml),
    outputs: outputsTable(actionYml)
  }
  const filled = Object.entries(parts).reduce((document, [name, part]) => between(document, name, part), text)
  return await format(filled, { ...(await resolveConfig('README.md')), filepath: 'README.md' })
}

/** The tables of an action's inputs and outputs between their markers. */
async function withTables(text: string, path: string, actionYml: string): Promise<string> {
  const filled = between(between(text, 'inputs', inputsTable(actionYml)), 'outputs', outputsTable(actionYml))
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
