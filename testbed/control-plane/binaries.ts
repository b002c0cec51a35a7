import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Paths of the programs that the real control plane is made of. */
export interface Binaries {
  readonly etcd: string
  readonly kubeApiserver: string
  readonly kubectl: string
}

const GO_MODULE = join(import.meta.dirname, 'go')
const PROGRAMS = ['etcd', 'kube-apiserver', 'kubectl']
const LOCK_POLL_INTERVAL = 200
const SOURCES = ['go.mod', 'go.sum', ...PROGRAMS.map((program) => join(program, 'main.go'))]

/** The directory KUBEBUILDER_ASSETS where that is set; otherwise they are built from source once and kept in the user's cache. */
export async function findBinaries(): Promise<Binaries> {
  const assets = process.env['KUBEBUILDER_ASSETS']
  if (assets !== undefined && assets !== '') return binariesIn(assets)

  const sources = await Promise.all(SOURCES.map((source) => readFile(join(GO_MODULE, source), 'utf8')))
  const flags = buildFlags(sources[0] ?? '')
  const version = createHash('sha256').update(JSON.stringify([sources, flags, process.platform, process.arch]))
  const cached = join(cacheHome(), 'aks-kms-etcd-encryption', 'control-plane', version.digest('hex').slice(0, 16))
  if (!(await exists(cached))) {
    await oneAtATime(`${cached}.lock`, async () => {
      if (!(await exists(cached))) await build(flags, cached)
    })
  }
  return binariesIn(cached)
}

async function binariesIn(directory: string): Promise<Binaries> {
  const [etcd = '', kubeApiserver = '', kubectl = ''] = PROGRAMS.map((program) => join(directory, program))
  for (const path of [etcd, kubeApiserver, kubectl]) {
    if (!(await exists(path))) throw new Error(`${path} is missing; ${directory} must hold ${PROGRAMS.join(', ')}.`)
  }
  return { etcd, kubeApiserver, kubectl }
}

/** Built elsewhere and renamed into place, so that nobody ever sees half of it. */
async function build(flags: readonly string[], destination: string): Promise<void> {
  const workshop = await mkdtemp(`${destination}.`)
  try {
    await go(['build', ...flags, '-o', `${workshop}/`, ...PROGRAMS.map((program) => `./${program}`)])
    await rename(workshop, destination)
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
}

/** Several processes may want the binaries at once, and a build takes all there is of a machine. */
async function oneAtATime(lock: string, work: () => Promise<void>): Promise<void> {
  await mkdir(dirname(lock), { recursive: true })
  while (!(await take(lock))) await sleep(LOCK_POLL_INTERVAL)
  try {
    await work()
  } finally {
    await rm(lock, { force: true })
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  }
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
  if (holder > 0 && !isRunning(holder)) await rm(lock, { force: true })
  return false
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !isErrno(error, 'ESRCH')
  }
}

function buildFlags(goModule: string): readonly string[] {
  const [version, major, minor] = /^\s*k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\S+)$/m.exec(goModule)?.slice(1) ?? []
  if (version === undefined) throw new Error(`${GO_MODULE}/go.mod does not say which k8s.io/kubernetes it requires.`)
  const stamps = { gitVersion: version, gitMajor: major, gitMinor: minor }
  const stamped = Object.entries(stamps).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
  return ['-trimpath', '-ldflags', ['-s', '-w', ...stamped].join(' ')]
}

async function go(args: readonly string[]): Promise<void> {
  process.stderr.write('Building etcd, kube-apiserver and kubectl from source, once; this takes some minutes.\n')
  const child = spawn('go', args, {
    cwd: GO_MODULE,
    env: { ...process.env, CGO_ENABLED: '0' },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  try {
    await once(child, 'exit')
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    throw new Error(
      'The real control plane is built with Go, and there is no `go` on the PATH. Install Go from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a directory that holds etcd, kube-apiserver and kubectl.',
      { cause: error }
    )
  }
  if (child.exitCode !== 0) throw new Error(`go build in ${GO_MODULE} failed; its output says why.`)
}

function cacheHome(): string {
  const home = process.env['XDG_CACHE_HOME']
  return home === undefined || home === '' ? join(homedir(), '.cache') : home
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

if (import.meta.main) {
  for (const path of Object.values(await findBinaries())) process.stdout.write(`${path}\n`)
}
