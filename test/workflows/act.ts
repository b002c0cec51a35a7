import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pinOwnActions } from '../../scripts/pin-workflows.ts'
import { readPublicName } from '../../scripts/public-name.ts'
import type { Bed } from '../../testbed/bed.ts'
import type { RunReport } from '../../src/model/report.ts'
import { findAct } from './tools.ts'

/** The commit of this repository that the examples get by `@v1`, and that the reusable workflows' actions are of. */
const RELEASE = 'f'.repeat(40)

/** What is downloaded when somebody uses this repository. */
const PUBLISHED = ['action.yml', 'dist', 'matrix', 'report', '.github/workflows'] as const

const STAND_INS = 'test/workflows/stand-ins'

export interface JobRun {
  readonly result: string
  /** What its steps printed. */
  readonly log: string
}

export interface WorkflowRun {
  readonly exitCode: number | null
  /** By name. */
  readonly jobs: ReadonlyMap<string, JobRun>
  /** Names of the artifacts, and the files in them. */
  readonly artifacts: ReadonlyMap<string, readonly string[]>
  /** The report of each leg, by the leg's name. */
  readonly reports: ReadonlyMap<string, RunReport>
  /** Everything that act printed, for people. */
  readonly log: string
}

export interface WorkflowEvent {
  readonly name: 'schedule' | 'workflow_dispatch' | 'pull_request' | 'push'
  readonly payload?: object
}

/** A user's repository on this machine, with GitHub Actions as nektos/act knows them. */
export interface UserRepository {
  readonly folder: string
  /** Commits all files on top of what is checked out; gives the commit. */
  commit(files: Readonly<Record<string, string>>): string
  git(...args: readonly string[]): string
  /** The variables of the repository, `vars`. */
  setVariables(variables: Readonly<Record<string, string>>): void
  /** Runs a workflow of the repository as it is checked out. */
  run(workflow: string, event: WorkflowEvent): Promise<WorkflowRun>
  remove(): void
}

export const REPOSITORY = 'octo-org/platform'

/**
 * An empty repository, whose workflows reach the simulated services of the bed, and nothing else. act knows no permissions of jobs:
 * `token` is what every job has.
 */
export function createRepository(bed: Pick<Bed, 'network' | 'github' | 'githubApi'>, token: string): UserRepository {
  const home = mkdtempSync(join(tmpdir(), 'act-'))
  const folder = join(home, 'repositories', REPOSITORY)
  mkdirSync(folder, { recursive: true })
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=mona', '-c', 'user.email=mona@example.com', ...args], {
      encoding: 'utf8'
    }).trim()
  git('init', '--quiet', '--initial-branch', 'main')
  git('config', 'uploadpack.allowAnySHA1InWant', 'true')
  // act asks at its first start which image it should run, unless it has a configuration.
  mkdirSync(join(home, '.config', 'act'), { recursive: true })
  writeFileSync(join(home, '.config', 'act', 'actrc'), '')
  const localRepositories = [...publish(join(home, 'published')), ...standIns()]
  let variables: Readonly<Record<string, string>> = {}
  let runs = 0

  return {
    folder,
    git,
    commit(files) {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text)
      }
      git('add', '--all')
      git('commit', '--quiet', '--allow-empty', '--message', 'A change')
      return git('rev-parse', 'HEAD')
    },
    setVariables(all) {
      variables = all
    },
    async run(workflow, event) {
      const runId = String(7000 + ++runs)
      const eventFile = join(home, 'event.json')
      writeFileSync(eventFile, JSON.stringify(event.payload ?? {}))
      const env = {
        ...bed.network.environment,
        ...bed.github.environment,
        ...bed.githubApi.environment,
        GITHUB_REPOSITORY: REPOSITORY,
        GITHUB_RUN_ID: runId,
        GITHUB_RUN_NUMBER: String(runs),
        STAND_INS_HOME: home
      }
      const log = await execute(await findAct(), home, [
        event.name,
        ...['--workflows', join(folder, workflow), '--directory', folder, '--eventpath', eventFile],
        ...['--platform', 'ubuntu-latest=-self-hosted', '--no-skip-checkout', '--no-cache-server', '--json'],
        ...['--action-cache-path', join(home, 'cache'), '--defaultbranch', 'main'],
        ...localRepositories.flatMap((one) => ['--local-repository', one]),
        ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
        ...Object.entries(variables).flatMap(([name, value]) => ['--var', `${name}=${value}`]),
        ...['--secret', `GITHUB_TOKEN=${token}`]
      ])
      return { ...log, ...collectArtifacts(join(home, 'artifacts', runId)) }
    },
    remove() {
      rmSync(home, { recursive: true, force: true })
    }
  }
}

/**
 * This repository as others get it, with what act does not know written otherwise: `uses: $/…`, an expression as `max-parallel`,
 * and `queue` in `concurrency`, of which it does nothing.
 */
function publish(folder: string): readonly string[] {
  for (const path of PUBLISHED) cpSync(path, join(folder, path), { recursive: true })
  const name = readPublicName()
  for (const path of globSync(join(folder, '.github/workflows/*.yml'))) {
    const workflow = readFileSync(path, 'utf8')
      .replaceAll(/max-parallel: \$\{\{.*\}\}/g, 'max-parallel: 1')
      .replaceAll(/^ +queue: max\n/gm, '')
    writeFileSync(path, pinOwnActions(workflow, name, RELEASE, 'v1.0.0'))
  }
  return [`${name}@v1=${folder}`, `${name}@${RELEASE}=${folder}`]
}

/** The stand-ins of third-party actions, for whichever commit the reusable workflows pin. */
function standIns(): readonly string[] {
  const uses = globSync('.github/workflows/*.yml').flatMap((path) => [
    ...readFileSync(path, 'utf8').matchAll(/uses: ([\w-]+\/[\w-]+)@([0-9a-f]{40})/g)
  ])
  const places = uses.flatMap(([, name = '', sha = '']) => {
    const folder = join(process.cwd(), STAND_INS, name)
    return existsSync(folder) ? [`${name}@${sha}=${folder}`] : []
  })
  return [...new Set(places)]
}

/** A line of act’s log with `--json`. */
interface Line {
  readonly msg?: string
  readonly level?: string
  readonly job?: string
  readonly jobResult?: string
  readonly raw_output?: boolean
}

async function execute(
  act: string,
  home: string,
  args: readonly string[]
): Promise<Pick<WorkflowRun, 'exitCode' | 'jobs' | 'log'>> {
  const child = spawn(act, args, {
    cwd: home,
    env: {
      PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config')
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  process.removeListener('exit', kill)

  const jobs = new Map<string, JobRun>()
  const lines = output.split('\n').map(parseLine)
  for (const { msg = '', job, jobResult, raw_output: isOutput } of lines) {
    if (job === undefined) continue
    const name = job.trim().replace(/^.*\//, '')
    const before = jobs.get(name) ?? { result: '', log: '' }
    jobs.set(name, {
      result: jobResult ?? before.result,
      log: isOutput === true ? before.log + msg : before.log
    })
  }
  const log = lines
    .filter(({ msg = '' }) => !/^LocalRepositoryCache|::set-output::/.test(msg.trim()))
    .map(({ job, msg = '' }) => (job === undefined ? msg : `[${job.trim()}] ${msg.trimEnd()}`))
    .join('\n')
  return { exitCode, jobs, log }
}

function parseLine(line: string): Line {
  try {
    return JSON.parse(line) as Line
  } catch {
    return { msg: line }
  }
}

function collectArtifacts(folder: string): Pick<WorkflowRun, 'artifacts' | 'reports'> {
  const artifacts = new Map<string, readonly string[]>()
  const reports = new Map<string, RunReport>()
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    artifacts.set(name, readdirSync(join(folder, name)))
    const report = join(folder, name, 'report.json')
    if (name.startsWith('kms-report-') && existsSync(report)) {
      reports.set(name.slice('kms-report-'.length), JSON.parse(readFileSync(report, 'utf8')) as RunReport)
    }
  }
  return { artifacts, reports }
}
