import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'

/** The numbers of one suite, or of one check, which counts as one test. */
interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const RESULTS = 'out/test'

/** A check of the repository, such as the linters. */
function check(script: string): Tally {
  const green = npmRun(script)
  return { passed: Number(green), failed: Number(!green), skipped: 0 }
}

/**
 * A jest suite. One that fails without a failed test, or that ran none, counts as one failure; on a CI machine, where nothing
 * may be missing, so does every skipped test.
 */
function suite(script: string): Tally {
  const file = `${RESULTS}/${script.replace(':', '-')}.json`
  rmSync(file, { force: true })
  const green = npmRun(script, ['--', '--json', `--outputFile=${file}`])
  const { passed, failed, skipped } = readResults(file)
  const broken = failed === 0 && (!green || passed === 0)
  if (process.env['CI'] === 'true') return { passed, failed: failed + skipped + Number(broken), skipped: 0 }
  return { passed, failed: failed + Number(broken), skipped }
}

function npmRun(script: string, args: readonly string[] = []): boolean {
  console.log(`\n━━ npm run ${script}`)
  return (
    spawnSync('npm', ['run', '--silent', script, ...args], { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
  )
}

function readResults(file: string): Tally {
  try {
    const results = JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>
    return {
      passed: results['numPassedTests'] ?? 0,
      failed: results['numFailedTests'] ?? 0,
      skipped: (results['numPendingTests'] ?? 0) + (results['numTodoTests'] ?? 0)
    }
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
}

mkdirSync(RESULTS, { recursive: true })
// The bundle is checked before the suites that run it.
const tallies = [
  check('lint'),
  check('check:dist'),
  suite('test:unit'),
  suite('test:bed'),
  suite('test:workflows'),
  suite('test:cluster')
]
const sum = (key: keyof Tally): number => tallies.reduce((total, tally) => total + tally[key], 0)
const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')]

console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed > 0 ? 1 : 0
