import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { startRealBed, type Bed } from '../../testbed/bed.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import { canary, canaryTraces, demoSecrets } from '../../testbed/seed.ts'
import { startWireTap, type Tapped } from '../../testbed/wire/tap.ts'
import { adminKubeconfig, kubeconfigOf, portOf, targetOf } from './target.ts'

/** Whether values of Secrets were in what the API server answered; what was searched is decrypted. */
export interface CanaryResult {
  readonly secrets: number
  readonly action: Searched
  /** The same search in what kubectl received over the same way, which shows that it finds them. */
  readonly kubectl: Searched
}

export interface Searched {
  readonly answers: number
  readonly bytes: number
  /** Answers with a canary, once for each form that it was found in. */
  readonly hits: number
}

const NAMESPACES = 10
const SECRETS = 500
const APPLIED = 20
const NAMESPACE = 'canaries'

const run = promisify(execFile)

/** A whole rotation by the built action, and a `kubectl get`, each through a tap of its own. */
export async function searchForCanaries(): Promise<CanaryResult> {
  const bed = await startRealBed({
    kms: true,
    timeScale: 0.001,
    secrets: demoSecrets({ secrets: SECRETS, namespaces: NAMESPACES })
  })
  const home = await mkdtemp(join(tmpdir(), 'bench-canaries-'))
  try {
    const { controlPlane } = bed
    await applyWithStringData(controlPlane, home)
    return {
      secrets: SECRETS + APPLIED,
      action: await tapped(controlPlane, (tap) => rotateThrough(bed, tap)),
      kubectl: await tapped(controlPlane, (tap) => getThrough(controlPlane, tap, home))
    }
  } finally {
    await rm(home, { recursive: true, force: true })
    await bed.stop()
  }
}

async function tapped(controlPlane: RealControlPlane, work: (tap: Tapped) => Promise<void>): Promise<Searched> {
  const tap = await startWireTap(controlPlane)
  try {
    await work(tap)
    return { answers: tap.answers, bytes: tap.bytes, hits: tap.search(canaryTraces).length }
  } finally {
    await tap.stop()
  }
}

async function rotateThrough({ cluster, controlPlane, run }: Bed<RealControlPlane>, tap: Tapped): Promise<void> {
  cluster.attach({ ...controlPlane, ...tap })
  const { exitCode, log } = await run('rotate')
  cluster.attach(controlPlane)
  if (exitCode !== 0) throw new Error(`The rotation failed:\n${log}`)
}

/** Leaves the values in clear in an annotation, and in base64 in the data. */
async function applyWithStringData(controlPlane: RealControlPlane, home: string): Promise<void> {
  const kubeconfig = join(home, 'administrator')
  await writeFile(kubeconfig, adminKubeconfig(targetOf(controlPlane)))
  const manifest = join(home, 'secrets.json')
  const items = Array.from({ length: APPLIED }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace: NAMESPACE, name: `applied-${String(index)}` },
    stringData: { token: `${canary}-${String(index)}` }
  }))
  await writeFile(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  const kubectl = (...args: string[]): Promise<unknown> =>
    run(controlPlane.kubectl, ['--kubeconfig', kubeconfig, ...args], { env: { HOME: home } })
  await kubectl('create', 'namespace', NAMESPACE)
  await kubectl('apply', '-f', manifest)
}

/** Client certificates do not pass the tap. */
async function getThrough(controlPlane: RealControlPlane, tap: Tapped, home: string): Promise<void> {
  const kubeconfig = join(home, 'reader')
  const token = await readerToken(controlPlane)
  const address = { port: portOf(tap), certificateAuthority: tap.certificateAuthority }
  await writeFile(kubeconfig, kubeconfigOf(address, { token }))
  const args = ['--kubeconfig', kubeconfig, 'get', 'secrets', '--all-namespaces', '--output', 'json']
  await run(controlPlane.kubectl, args, { env: { HOME: home }, maxBuffer: 1 << 30 })
}

async function readerToken(controlPlane: RealControlPlane): Promise<string> {
  const name = 'bench-reader'
  await create(controlPlane, '/api/v1/namespaces/default/serviceaccounts', { metadata: { name } })
  await create(controlPlane, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', namespace: 'default', name }]
  })
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
  const answer = await create(controlPlane, `/api/v1/namespaces/default/serviceaccounts/${name}/token`, request)
  return (answer as { readonly status: { readonly token: string } }).status.token
}

async function create(controlPlane: RealControlPlane, path: string, object: object): Promise<unknown> {
  const { status, body } = await controlPlane.request('POST', path, object)
  if (status !== 201) throw new Error(`POST ${path}: ${String(status)} ${JSON.stringify(body)}`)
  return body
}
