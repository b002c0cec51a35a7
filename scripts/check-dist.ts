import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { build } from './build.ts'

/** What keeps dist/ from being the bundle of the sources beside it, byte for byte and in git; empty when nothing does. */
function checkDist(): readonly string[] {
  const fresh = mkdtempSync(join(tmpdir(), 'check-dist-'))
  try {
    build(fresh)
    const names = new Set([...filesIn(fresh), ...filesIn('dist')])
    const differing = [...names].filter((name) => !sameBytes(join(fresh, name), join('dist', name)))
    const committed = execFileSync('git', ['ls-files', 'dist'], { encoding: 'utf8' }).split('\n')
    const uncommitted = filesIn('dist').filter((name) => !committed.includes(`dist/${name}`))
    return [
      ...differing.map((name) => `dist/${name} differs from a fresh build: run \`npm run build\`.`),
      ...uncommitted.map((name) => `dist/${name} is not in git: run \`git add dist\`.`)
    ]
  } finally {
    rmSync(fresh, { recursive: true })
  }
}

/** Paths of all files below a folder. */
function filesIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

function sameBytes(a: string, b: string): boolean {
  return existsSync(a) && existsSync(b) && readFileSync(a).equals(readFileSync(b))
}

const problems = checkDist()
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1
else console.log('dist/ is the bundle of the sources.')
