import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { BUNDLE } from '../testbed/runner/run-action.ts'
import { spread, type Spread } from './spread.ts'

const RUNS = 15

/** What the issue that asked for this bench aims at. */
const AIM = { bytes: 2_500_000, seconds: 0.2 }

/** Size of the bundle, and time from the start of the process to its first request, against an empty Node's. */
export async function startBench(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { json: { type: 'string' } } })
  const bytes = await bundleSize()
  const pairs: { readonly action: number; readonly empty: number }[] = []
  // One in turn with the other, so that a machine that slows down slows both.
  for (let run = 0; run <= RUNS; run++) {
    const pair = { empty: await timeToRequest(['-e', EMPTY]), action: await timeToRequest([BUNDLE]) }
    if (run > 0) pairs.push(pair)
  }
  const result = {
    node: process.version,
    runs: RUNS,
    bundleBytes: bytes,
    firstRequestSeconds: spread(pairs.map(({ action }) => action)),
    emptyNodeSeconds: spread(pairs.map(({ empty }) => empty)),
    ratio: spread(pairs.map(({ action, empty }) => action / empty))
  }
  console.log(`Bundle               ${(bytes / 1e6).toFixed(2)} MB (aim: ${String(AIM.bytes / 1e6)} MB)`)
  console.log(`To the first request ${inWords(result.firstRequestSeconds)} (aim: ${String(AIM.seconds)} s)`)
  console.log(`The same, empty Node ${inWords(result.emptyNodeSeconds)}`)
  console.log(
    `Ratio                ${result.ratio.median.toFixed(2)} (${result.ratio.min.toFixed(2)}–${result.ratio.max.toFixed(2)})`
  )
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(result, undefined, 2)}\n`)
}

/** Node with nothing to load, that sends the same request. */
const EMPTY = `require('node:http').get(process.env.ACTIONS_ID_TOKEN_REQUEST_URL)`

/** Seconds until the process asks for its ID token, which is the first thing that a run does. */
async function timeToRequest(nodeArgs: readonly string[]): Promise<number> {
  const home = await mkdtemp(join(tmpdir(), 'bench-start-'))
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const asked = new Promise<number>((resolve) =>
    server.once('request', () => {
      resolve(performance.now())
    })
  )
  const startedAt = performance.now()
  const child = spawn(process.execPath, nodeArgs, {
    stdio: 'ignore',
    env: {
      HOME: home,
      RUNNER_TEMP: home,
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${String(port)}/?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'bench',
      INPUT_OPERATION: 'rotate',
      'INPUT_RESOURCE-GROUP': 'bench',
      'INPUT_CLUSTER-NAME': 'bench',
      'INPUT_SUBSCRIPTION-ID': ID,
      'INPUT_TENANT-ID': ID,
      'INPUT_CLIENT-ID': ID
    }
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  try {
    const early = ended.then(() => {
      throw new Error('The process ended without a request.')
    })
    return ((await Promise.race([asked, early])) - startedAt) / 1000
  } finally {
    child.kill('SIGKILL')
    await ended
    server.closeAllConnections()
    server.close()
    await rm(home, { recursive: true, force: true })
  }
}

const ID = '00000000-0000-4000-8000-000000000000'

/** Of all the code that is loaded or may be; licences are not. */
async function bundleSize(): Promise<number> {
  const folder = dirname(BUNDLE)
  const scripts = (await readdir(folder)).filter((name) => name.endsWith('.js'))
  const sizes = await Promise.all(scripts.map(async (name) => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

function inWords({ min, median, max }: Spread): string {
  return `${median.toFixed(3)} s (${min.toFixed(3)}–${max.toFixed(3)} s)`
}
