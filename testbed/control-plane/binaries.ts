import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildOnce, exists, runTool } from '../build-cache.ts'

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
  return binariesIn(await buildOnce('control-plane', [sources, flags], (folder) => build(flags, folder)))
}

async function binariesIn(directory: string): Promise<Binaries> {
  const [etcd = '', kubeApiserver = '', kubectl = ''] = PROGRAMS.map((program) => join(directory, program))
  for (const path of [etcd, kubeApiserver, kubectl]) {
    if (!(await exists(path))) throw new Error(`${path} is missing; ${directory} must hold ${PROGRAMS.join(', ')}.`)
  }
  return { etcd, kubeApiserver, kubectl }
}

async function build(flags: readonly string[], folder: string): Promise<void> {
  process.stderr.write('Building etcd, kube-apiserver and kubectl from source, once; this takes some minutes.\n')
  const programs = PROGRAMS.map((program) => `./${program}`)
  await runTool('go', ['build', ...flags, '-o', `${folder}/`, ...programs], {
    cwd: GO_MODULE,
    env: { CGO_ENABLED: '0' },
    whyNeeded:
      'The real control plane is built with it. Install Go from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a directory that holds etcd, kube-apiserver and kubectl.'
  })
}

function buildFlags(goModule: string): readonly string[] {
  const [version, major, minor] = /^\s*k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\S+)$/m.exec(goModule)?.slice(1) ?? []
  if (version === undefined) throw new Error(`${GO_MODULE}/go.mod does not say which k8s.io/kubernetes it requires.`)
  const stamps = { gitVersion: version, gitMajor: major, gitMinor: minor }
  const stamped = Object.entries(stamps).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
  return ['-trimpath', '-ldflags', ['-s', '-w', ...stamped].join(' ')]
}

if (import.meta.main) {
  for (const path of Object.values(await findBinaries())) process.stdout.write(`${path}\n`)
}
