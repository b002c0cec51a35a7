import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** Paths of the programs that the real control plane is made of. */
export interface Binaries {
  readonly etcd: string
  readonly kubeApiserver: string
  readonly kubectl: string
}

const GO_MODULE = join(import.meta.dirname, 'go')
const PROGRAMS = ['etcd', 'kube-apiserver', 'kubectl']
const SOURCES = ['go.mod', 'go.sum', ...PROGRAMS.map((program) => join(program, 'main.go'))]

/** The directory KUBEBUILDER_ASSETS where that is set; otherwise they are built from source once and kept in the user's cache. */
export async function findBinaries(): Promise<Binaries> {
  const assets = process.env['KUBEBUILDER_ASSETS']
  if (assets !== undefined && assets !== '') return binariesIn(assets)

  const sources = await Promise.all(SOURCES.map((source) => readFile(join(GO_MODULE, source), 'utf8')))
  const flags = buildFlags(sources[0] ?? '')
  const version = createHash('sha256').update(JSON.stringify([sources, flags, process.platform, process.arch]))
  const cached = join(cacheHome(), 'aks-kms-etcd-encryption', 'control-plane', version.digest('hex').slice(0, 16))
  if (!(await exists(cached))) await build(flags, cached)
  return binariesIn(cached)
}

async function binariesIn(directory: string): Promise<Binaries> {
  const [etcd = '', kubeApiserver = '', kubectl = ''] = PROGRAMS.map((program) => join(directory, program))
  for (const path of [etcd, kubeApiserver, kubectl]) {
    if (!(await exists(path))) throw new Error(`${path} is missing; ${directory} must hold ${PROGRAMS.join(', ')}.`)
  }
  return { etcd, kubeApiserver, kubectl }
}

/** Built elsewhere and renamed into place, so that nobody ever sees half of it and of two builds at once either may win. */
async function build(flags: readonly string[], destination: string): Promise<void> {
  await mkdir(dirname(destination), { recursive: true })
  const workshop = await mkdtemp(`${destination}.`)
  try {
    await go(['build', ...flags, '-o', `${workshop}/`, ...PROGRAMS.map((program) => `./${program}`)])
    await rename(workshop, destination)
  } catch (error) {
    await rm(workshop, { recursive: true, force: true })
    if (!(await exists(destination))) throw error
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
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`go build in ${GO_MODULE} failed; its output says why.`)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    throw new Error(
      'The real control plane is built with Go, and there is no `go` on the PATH. Install Go from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a directory that holds etcd, kube-apiserver and kubectl.',
      { cause: error }
    )
  }
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
