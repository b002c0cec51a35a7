import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load } from 'js-yaml'
import type { JsonObject } from '../../src/model/json.ts'

/** The built action, as a runner would start it. */
export const BUNDLE = bundleOf('')

/** The bundle of the action in a folder of the repository; empty for the one at its root. */
function bundleOf(folder: string): string {
  return fileURLToPath(new URL(`../../dist/${folder === '' ? '' : `${folder}/`}index.js`, import.meta.url))
}

/** How GitHub's runner ends a step: SIGINT, and harder if that is not heeded (actions/runner, ProcessInvoker.cs). */
const SIGTERM_AFTER_MS = 7_500
const SIGKILL_AFTER_MS = 2_500

/** What a workflow run was started by. */
export interface WorkflowEvent {
  /** Such as `pull_request`. */
  readonly name: string
  /** As GitHub's webhooks have it. */
  readonly payload?: JsonObject
  readonly ref?: string
  readonly sha?: string
}

export interface RunOptions {
  /** By input name; the runner upper-cases names and keeps dashes. */
  readonly inputs: Readonly<Record<string, string>>
  /** Added to the runner's own environment. The test process's environment is not inherited, but for PATH. */
  readonly env?: Readonly<Record<string, string>>
  /** Cancels the step when aborted. */
  readonly cancel?: AbortSignal
  /** Ends the process at once when aborted, as a machine that is lost. */
  readonly kill?: AbortSignal
  /** Called with every line that the action prints, as it comes. */
  readonly onLine?: (line: string) => void
  /** Called with the id of the process once it runs. */
  readonly onStart?: (pid: number) => void
  /** Folder of another action of this repository than the one at its root. */
  readonly action?: string
  readonly bundle?: string
  /** Default: a schedule on the main branch. */
  readonly event?: WorkflowEvent
  /** What `github.token` is; default: empty. */
  readonly token?: string
  /** Files of the workspace, by path. */
  readonly files?: Readonly<Record<string, string>>
}

export interface RunResult {
  /** Null when the process was killed by a signal. */
  readonly exitCode: number | null
  readonly outputs: Readonly<Record<string, string>>
  readonly summary: string
  /** Both streams, in the order they came, workflow commands included. */
  readonly log: string
  /** Values that the action asked the runner to mask. */
  readonly masks: readonly string[]
  /** `error`, `warning` and `notice` commands. */
  readonly annotations: readonly { readonly level: string; readonly title: string; readonly message: string }[]
  /** Text of the JSON report, if one was written. */
  readonly report: string | undefined
  readonly durationMs: number
}

/** Runs the built action once, with the files and variables that GitHub's runner gives a step. */
export async function runAction(options: RunOptions): Promise<RunResult> {
  const home = await mkdtemp(join(tmpdir(), 'runner-'))
  const files = {
    GITHUB_OUTPUT: 'output',
    GITHUB_STEP_SUMMARY: 'summary',
    GITHUB_STATE: 'state',
    GITHUB_ENV: 'env',
    GITHUB_PATH: 'path'
  }
  const fileVariables: Record<string, string> = {}
  for (const [variable, file] of Object.entries(files)) {
    fileVariables[variable] = join(home, file)
    await writeFile(join(home, file), '')
  }
  const { action = '', event = { name: 'schedule' }, token = '' } = options
  const workspace = join(home, 'workspace')
  await mkdir(workspace)
  for (const [path, text] of Object.entries(options.files ?? {})) {
    await mkdir(dirname(join(workspace, path)), { recursive: true })
    await writeFile(join(workspace, path), text)
  }
  const eventPath = join(home, 'event.json')
  await writeFile(eventPath, JSON.stringify(event.payload ?? {}))
  const inputs = Object.entries({ ...(await defaults(action, token)), ...options.inputs })
  const startedAt = performance.now()
  try {
    const started = { ...options, bundle: options.bundle ?? bundleOf(action), workspace }
    const { exitCode, log } = await execute(started, {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      RUNNER_TEMP: home,
      RUNNER_OS: 'Linux',
      GITHUB_WORKSPACE: workspace,
      GITHUB_EVENT_NAME: event.name,
      GITHUB_EVENT_PATH: eventPath,
      GITHUB_REF: event.ref ?? 'refs/heads/main',
      GITHUB_SHA: event.sha ?? 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_REPOSITORY: 'octo-org/platform',
      GITHUB_RUN_ID: '1234567890',
      GITHUB_RUN_ATTEMPT: '1',
      GITHUB_WORKFLOW: 'rotate',
      GITHUB_JOB: 'rotate',
      ...fileVariables,
      ...Object.fromEntries(inputs.map(([name, value]) => [`INPUT_${name.replaceAll(' ', '_').toUpperCase()}`, value])),
      ...options.env
    })
    const durationMs = performance.now() - startedAt
    const outputs = parseFileCommands(await readFile(join(home, files.GITHUB_OUTPUT), 'utf8'))
    const reportPath = outputs['report']
    return {
      exitCode,
      outputs,
      summary: await readFile(join(home, files.GITHUB_STEP_SUMMARY), 'utf8'),
      log,
      masks: commands(log, 'add-mask').map(({ message }) => message),
      annotations: ['error', 'warning', 'notice'].flatMap((level) =>
        commands(log, level).map(({ title, message }) => ({ level, title, message }))
      ),
      report: reportPath === undefined || reportPath === '' ? undefined : await readFile(reportPath, 'utf8'),
      durationMs
    }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

/** What the runner passes for inputs that a workflow does not set; an input without a default is passed empty. */
async function defaults(action: string, token: string): Promise<Record<string, string>> {
  const path = new URL(`../../${action === '' ? '' : `${action}/`}action.yml`, import.meta.url)
  const metadata = load(await readFile(path, 'utf8')) as {
    readonly inputs: Record<string, { readonly default?: string }>
  }
  return Object.fromEntries(
    Object.entries(metadata.inputs).map(([name, input]) => [
      name,
      (input.default ?? '').replace('${{ github.token }}', token)
    ])
  )
}

async function execute(
  {
    cancel,
    kill,
    onLine,
    onStart,
    bundle,
    workspace
  }: RunOptions & { readonly bundle: string; readonly workspace: string },
  env: Readonly<Record<string, string>>
): Promise<{ readonly exitCode: number | null; readonly log: string }> {
  const child = spawn(process.execPath, [bundle], { env, cwd: workspace, stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.pid !== undefined) onStart?.(child.pid)
  let log = ''
  let partial = ''
  const receive = (chunk: string): void => {
    log += chunk
    const lines = (partial + chunk).split('\n')
    partial = lines.pop() ?? ''
    for (const line of lines) onLine?.(line)
  }
  child.stdout.setEncoding('utf8').on('data', receive)
  child.stderr.setEncoding('utf8').on('data', receive)

  const timers: NodeJS.Timeout[] = []
  const interrupt = (): void => {
    child.kill('SIGINT')
    timers.push(setTimeout(() => child.kill('SIGTERM'), SIGTERM_AFTER_MS))
    timers.push(setTimeout(() => child.kill('SIGKILL'), SIGTERM_AFTER_MS + SIGKILL_AFTER_MS))
  }
  if (cancel?.aborted === true) interrupt()
  else cancel?.addEventListener('abort', interrupt, { once: true })
  const end = (): void => {
    child.kill('SIGKILL')
  }
  kill?.addEventListener('abort', end, { once: true })
  process.once('exit', end)
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    return { exitCode, log }
  } finally {
    cancel?.removeEventListener('abort', interrupt)
    kill?.removeEventListener('abort', end)
    process.removeListener('exit', end)
    timers.forEach(clearTimeout)
  }
}

/** `name=value` and `name<<DELIMITER` as in GITHUB_OUTPUT. */
function parseFileCommands(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? ''
    const [, name, delimiter] = /^([^=]+?)<<(.+)$/.exec(line) ?? []
    if (name !== undefined && delimiter !== undefined) {
      const end = lines.indexOf(delimiter, i + 1)
      if (end < 0) throw new Error(`The output ${name} has no end.`)
      values[name] = lines.slice(i + 1, end).join('\n')
      i = end
    } else if (line.includes('=')) {
      values[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1)
    }
  }
  return values
}

/** Workflow commands of one kind, `::kind title=…::message`. */
function commands(log: string, kind: string): { readonly title: string; readonly message: string }[] {
  return [...log.matchAll(new RegExp(`^::${kind}(?: ([^\\n]*?))?::(.*)$`, 'gm'))].map((match) => ({
    title: unescape(/(?:^|,)title=([^,]*)/.exec(match[1] ?? '')?.[1] ?? ''),
    message: unescape(match[2] ?? '')
  }))
}

function unescape(text: string): string {
  return text
    .replaceAll('%0D', '\r')
    .replaceAll('%0A', '\n')
    .replaceAll('%3A', ':')
    .replaceAll('%2C', ',')
    .replaceAll('%25', '%')
}
