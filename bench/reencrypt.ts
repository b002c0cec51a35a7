import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { measureBundle, type BundleResult } from './reencrypt/bundle.ts'
import { searchForCanaries } from './reencrypt/canaries.ts'
import { singleCase, WHOLE_TABLE, type Plan } from './reencrypt/cases.ts'
import { drawChart } from './reencrypt/chart.ts'
import { startBenchCluster } from './reencrypt/cluster.ts'
import { describeMachine } from './reencrypt/machine.ts'
import { mergeResults } from './reencrypt/merge.ts'
import type { CaseResult } from './reencrypt/measurement.ts'
import { performancePage } from './reencrypt/performance-page.ts'
import { collectGarbageAsUsual } from './reencrypt/programs.ts'
import type { BenchResult } from './reencrypt/result.ts'
import { runCase } from './reencrypt/run-case.ts'
import { bundleTable, caseTable, nameOf, speedTable } from './reencrypt/tables.ts'
import { targetsTable } from './reencrypt/targets.ts'
import { tableAsText } from './table.ts'

const USAGE = `npm run bench -- reencrypt [--secrets N] [--size BYTES] [--namespaces N] [--rtt MS] [--api-servers N]
                           [--rounds N] [--bundle] [--kubectl-limit MINUTES] [--json FILE] [--from FILE [--from FILE ...]]

Without --secrets, --size, --namespaces and --rtt it measures the whole table, and writes docs/performance.md and .svg;
with --from it writes them from what --json has written before, where a later file takes the place of the cases that it has too.
--rounds (3) is how often the action and the ceiling are measured in a case of its own.
--bundle measures one whole rotation by the built action as well.
--kubectl-limit (15) is for kubectl's documented form in one case: what would take longer is measured on a sample.`

const DOCS = new URL('../docs/', import.meta.url)

/** Re-encryption of all Secrets by this action, by kubectl, and at the API server's ceiling. */
export async function reencryptBench(args: string[]): Promise<void> {
  const options = optionsOf(args)
  const [first, ...later] = await Promise.all(options.from.map(readResult))
  if (first !== undefined) {
    await writeDocs(mergeResults(first, ...later))
    return
  }
  const programs = await collectGarbageAsUsual()
  try {
    const save = async (result: BenchResult): Promise<void> => {
      if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(result, undefined, 1)}\n`)
    }
    const result = await measureAll(options, save)
    say(`\n${tableAsText(speedTable(result))}`)
    if (result.bundles.length > 0) say(`\nThe built action, one whole rotation\n${tableAsText(bundleTable(result))}`)
    say(`\n${tableAsText(targetsTable(result))}`)
    say(`\nIn ${(result.seconds / 60).toFixed(1)} minutes, on ${JSON.stringify(result.machine)}`)
    if (options.plans === WHOLE_TABLE && process.exitCode === undefined) await writeDocs(result)
  } finally {
    await programs.undo()
  }
}

interface Options {
  /** That repeats it. */
  readonly command: string
  readonly plans: readonly Plan[]
  readonly apiServers: number
  readonly kubectlLimitMinutes: number
  readonly json: string | undefined
  /** Files of earlier results. */
  readonly from: readonly string[]
}

function optionsOf(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      secrets: { type: 'string' },
      size: { type: 'string' },
      namespaces: { type: 'string' },
      rtt: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      'api-servers': { type: 'string', default: '1' },
      'kubectl-limit': { type: 'string', default: '15' },
      json: { type: 'string' },
      bundle: { type: 'boolean', default: false },
      from: { type: 'string', multiple: true, default: [] }
    }
  })
  const { secrets, size, namespaces, rtt } = values
  const whole = [secrets, size, namespaces, rtt].every((value) => value === undefined)
  const bytes = size === undefined ? {} : { bytes: numberOf(size, 1) }
  const spread = namespaces === undefined ? {} : { namespaces: numberOf(namespaces, 1) }
  return {
    // Where the figures are put is not what makes them.
    command: ['npm run bench -- reencrypt', ...args].join(' ').replace(/ --json \S+/, ''),
    plans: whole
      ? WHOLE_TABLE
      : [
          singleCase(numberOf(secrets ?? '1000', 1), numberOf(rtt ?? '0', 0), numberOf(values.rounds, 1), {
            ...bytes,
            ...spread,
            bundle: values.bundle
          })
        ],
    apiServers: numberOf(values['api-servers'], 1),
    kubectlLimitMinutes: numberOf(values['kubectl-limit'], 0),
    json: values.json,
    from: values.from
  }
}

async function readResult(file: string): Promise<BenchResult> {
  return JSON.parse(await readFile(file, 'utf8')) as BenchResult
}

function numberOf(text: string, least: number): number {
  const value = Number(text)
  if (text !== '' && Number.isInteger(value) && value >= least) return value
  console.error(USAGE)
  process.exit(2)
}

/** `save` is given all that was measured so far, case by case: it takes most of an hour. */
async function measureAll(
  { command, plans, apiServers, kubectlLimitMinutes }: Options,
  save: (result: BenchResult) => Promise<void>
): Promise<BenchResult> {
  const startedAt = new Date()
  const whole = plans === WHOLE_TABLE
  const cases: CaseResult[] = []
  const bundles: BundleResult[] = []
  const machine = await describeMachine()
  const canaries = whole ? await searchForCanaries() : undefined

  const soFar = (): BenchResult => ({
    command,
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    machine,
    kubectlLimitMinutes,
    cases,
    bundles,
    canaries
  })

  for (const { population, rttsMs, rounds, bundle } of plans) {
    const cluster = await startBenchCluster(population, apiServers)
    try {
      if (bundle) bundles.push(await measureBundle(cluster))
      for (const rttMs of rttsMs) {
        const result = await runCase(cluster, {
          rttMs,
          apiServers,
          rounds,
          kubectlSeconds: kubectlLimitMinutes * 60,
          say
        })
        cases.push(result)
        say(`\n${nameOf(result)}\n${tableAsText(caseTable(result))}`)
        await save(soFar())
      }
    } catch (error) {
      console.error(`${String(population.secrets)} Secrets:`, error)
      process.exitCode = 1
    } finally {
      await cluster.stop()
    }
  }
  return soFar()
}

async function writeDocs(result: BenchResult): Promise<void> {
  const page = fileURLToPath(new URL('performance.md', DOCS))
  await writeFile(page, await performancePage(result, page))
  await writeFile(new URL('performance.svg', DOCS), drawChart(result.cases))
}

function say(line: string): void {
  console.log(line)
}
