import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { licensesOf } from './licenses.ts'

const COMPILED = 'out/src'

/** A browser opener that @azure/identity drags in for interactive sign-in, which no workflow does. */
const UNNEEDED_ASSETS: readonly string[] = ['xdg-open']

/** What is bundled: where each action starts, and its folder in dist. */
const BUNDLES: readonly (readonly [entry: string, folder: string])[] = [
  ['index.js', '.'],
  ['matrix-action/index.js', 'matrix'],
  ['report-action/index.js', 'report']
]

/**
 * Bundles src into `outDir`: the same bytes from the same sources and lock file, in whatever folder.
 * TypeScript is compiled first, because ncc's own loader checks (and fails on) files that are not bundled.
 */
export function build(outDir: string): void {
  rmSync(COMPILED, { recursive: true, force: true })
  rmSync(outDir, { recursive: true, force: true })
  runModule('typescript/bin/tsc', ['--project', 'tsconfig.build.json'])
  const statistics = BUNDLES.map(([entry, folder]) => bundle(entry, join(outDir, folder)))
  writeFileSync(join(outDir, 'licenses.txt'), licensesOf(statistics))

  const files = readdirSync(outDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  for (const { name, parentPath } of files) if (name.endsWith('.js')) escapeNonAscii(join(parentPath, name))
  const unexpected = files.filter(({ name }) => !/^(.*\.js|package\.json|licenses\.txt)$/.test(name))
  if (unexpected.length > 0) throw new Error(`Unexpected files: ${unexpected.map(({ name }) => name).join(', ')}`)
}

/** Gives webpack's statistics. */
function bundle(entry: string, folder: string): string {
  mkdirSync(folder, { recursive: true })
  const stats = 'out/stats.json'
  runModule('@vercel/ncc/dist/ncc/cli.js', [
    ...['build', `${COMPILED}/${entry}`, '--out', folder, '--minify', '--no-cache', '--quiet', '--stats-out', stats]
  ])
  for (const name of UNNEEDED_ASSETS) rmSync(join(folder, name), { force: true })
  return readFileSync(stats, 'utf8')
}

/** V8 keeps a whole source at two bytes a character, for as long as it runs, if one of them is beyond Latin-1. */
function escapeNonAscii(file: string): void {
  const source = readFileSync(file, 'utf8')
  // A backslash before it would take the one of the escape for itself.
  if (/(?<!\\)(\\\\)*\\[^\0-\x7f]/.test(source))
    throw new Error(`${file} has a backslash before a character beyond ASCII.`)
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  writeFileSync(file, source.replace(/[^\0-\x7f]/g, escaped))
}

function runModule(path: string, args: readonly string[]): void {
  execFileSync(process.execPath, [join('node_modules', path), ...args], { stdio: 'inherit' })
}

if (import.meta.main) build('dist')
