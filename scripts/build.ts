import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { licensesOf } from './licenses.ts'

const COMPILED = 'out/src'

/** A browser opener that @azure/identity drags in for interactive sign-in, which no workflow does. */
const UNNEEDED_ASSETS: readonly string[] = ['xdg-open']

/**
 * Bundles src into `outDir`: the same bytes from the same sources and lock file, in whatever folder.
 * TypeScript is compiled first, because ncc's own loader checks (and fails on) files that are not bundled.
 */
export function build(outDir: string): void {
  rmSync(COMPILED, { recursive: true, force: true })
  rmSync(outDir, { recursive: true, force: true })
  mkdirSync(outDir, { recursive: true })
  const stats = 'out/stats.json'
  runModule('typescript/bin/tsc', ['--project', 'tsconfig.build.json'])
  runModule('@vercel/ncc/dist/ncc/cli.js', [
    ...['build', `${COMPILED}/index.js`, '--out', outDir, '--minify', '--no-cache', '--quiet', '--stats-out', stats]
  ])
  for (const name of UNNEEDED_ASSETS) rmSync(join(outDir, name), { force: true })
  writeFileSync(join(outDir, 'licenses.txt'), licensesOf(readFileSync(stats, 'utf8')))

  const unexpected = readdirSync(outDir).filter((name) => !/^(.*\.js|package\.json|licenses\.txt)$/.test(name))
  if (unexpected.length > 0) throw new Error(`Unexpected files in the bundle: ${unexpected.join(', ')}`)
}

function runModule(path: string, args: readonly string[]): void {
  execFileSync(process.execPath, [join('node_modules', path), ...args], { stdio: 'inherit' })
}

if (import.meta.main) build('dist')
