import type { ControlPlane, SeedSecret } from './contract.ts'
import { pseudoRandom, type PseudoRandom } from './pseudo-random.ts'

/** In at least one value of every demo Secret: whoever finds it outside of the cluster has found a leak. */
export const canary = 'canary-7f3a-never-leaves-the-cluster'

/** What to search for: the canary, and its base64 at each of the three offsets at which it can begin in a value. */
export const canaryTraces: readonly string[] = [
  canary,
  ...[0, 1, 2].map((offset) => {
    const encoded = Buffer.from(`${'-'.repeat(offset)}${canary}`).toString('base64')
    // The first and the last quantum depend on what is around the canary.
    return encoded.slice(offset === 0 ? 0 : 4, -4)
  })
]

const familiar = [
  'payments',
  'checkout',
  'orders',
  'identity',
  'inventory',
  'shipping',
  'search',
  'billing',
  'ledger',
  'loyalty'
]
const stages = ['', '-staging', '-dev', '-preview', '-canary', '-perf', '-dr']
const applications = [
  'api',
  'worker',
  'gateway',
  'scheduler',
  'frontend',
  'webhook',
  'exporter',
  'migrator',
  'cache',
  'mailer'
]
const purposes = [
  'database',
  'redis',
  'smtp',
  'oauth-client',
  'signing-key',
  'kafka',
  'storage',
  'partner-api',
  'session'
]

/** Helm keeps up to ten revisions of a release; the last ones are what a namespace usually holds. */
const helmShare = 0.02
const helmRevisions = 3
const helmBytes = 200_000

/**
 * Secrets as clusters hold them: mostly small and opaque; certificates, registry credentials, immutable ones, some applied by
 * kubectl with their values in an annotation, some releases of Helm. The same for the same arguments.
 */
export function demoSecrets(options: {
  readonly secrets: number
  readonly namespaces: number
  readonly seed?: number
}): readonly SeedSecret[] {
  const random = pseudoRandom(options.seed ?? 1)
  const namespaces = Array.from({ length: options.namespaces }, (_, index) => namespaceName(index))
  const releases = Math.round(options.secrets * helmShare)
  return Array.from({ length: options.secrets }, (_, index) => {
    const release = index - (options.secrets - releases)
    const namespace =
      namespaces[release < 0 ? index % namespaces.length : Math.floor(release / helmRevisions) % namespaces.length]
    if (namespace === undefined) throw new Error('demo Secrets need at least one namespace')
    if (release >= 0) return helmRelease(namespace, release, random)
    return ordinary(namespace, Math.floor(index / namespaces.length), random)
  })
}

function namespaceName(index: number): string {
  const name = familiar[index % familiar.length] ?? 'apps'
  const round = Math.floor(index / familiar.length)
  return `${name}${stages[round] ?? `-${round}`}`
}

function ordinary(namespace: string, ordinal: number, random: PseudoRandom): SeedSecret {
  const application = random.pick(applications)
  const place = { namespace, labels: { 'app.kubernetes.io/name': application, 'app.kubernetes.io/part-of': namespace } }
  const name = (purpose: string): string => `${application}-${purpose}-${ordinal}`
  const kind = random.below(100)
  if (kind < 12) return { ...place, name: name('tls'), type: 'kubernetes.io/tls', data: certificate(random) }
  if (kind < 20)
    return { ...place, name: name('registry'), type: 'kubernetes.io/dockerconfigjson', data: registry(random) }
  if (kind < 26) return { ...place, name: name('license'), type: 'Opaque', immutable: true, data: credentials(random) }
  const opaque: SeedSecret = { ...place, name: name(random.pick(purposes)), type: 'Opaque', data: credentials(random) }
  return kind < 40 ? applied(opaque) : opaque
}

/** About 1 kB. */
const credentials = (random: PseudoRandom): SeedSecret['data'] => ({
  username: base64(`app-${random.below(10_000)}`),
  password: secretValue(random, 96),
  'config.yaml': base64(`endpoint: https://internal.example/${random.text(24)}\ntoken: ${canary}.${random.text(480)}\n`)
})

/** Of the size of a certificate chain and its key, yet neither: nothing here looks like a key to a scanner. */
const certificate = (random: PseudoRandom): SeedSecret['data'] => ({
  'tls.crt': secretValue(random, 1_400),
  'tls.key': secretValue(random, 1_200)
})

const registry = (random: PseudoRandom): SeedSecret['data'] => {
  const username = '00000000-0000-0000-0000-000000000000'
  const password = `${canary}.${random.text(60)}`
  const auths = { 'contoso.azurecr.io': { username, password, auth: base64(`${username}:${password}`) } }
  return { '.dockerconfigjson': base64(JSON.stringify({ auths })) }
}

function helmRelease(namespace: string, ordinal: number, random: PseudoRandom): SeedSecret {
  const application = `${applications[Math.floor(ordinal / helmRevisions) % applications.length] ?? 'app'}-${Math.floor(ordinal / helmRevisions)}`
  const version = (ordinal % helmRevisions) + 1
  return {
    namespace,
    name: `sh.helm.release.v1.${application}.v${version}`,
    type: 'helm.sh/release.v1',
    labels: {
      owner: 'helm',
      name: application,
      status: version === helmRevisions ? 'deployed' : 'superseded',
      version: String(version)
    },
    data: { release: secretValue(random, helmBytes) }
  }
}

/** As `kubectl apply` leaves it: everything once more in an annotation. */
function applied(secret: SeedSecret): SeedSecret {
  const { namespace, name, labels, type, data } = secret
  const configuration = {
    apiVersion: 'v1',
    data,
    kind: 'Secret',
    metadata: { annotations: {}, labels, name, namespace },
    type
  }
  return {
    ...secret,
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `${JSON.stringify(configuration)}\n` }
  }
}

const secretValue = (random: PseudoRandom, length: number): string => base64(`${canary}.${random.text(length)}`)

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Reads every Secret back and tells what is not as it was planted; nothing of a value is told. */
export async function compareContents(controlPlane: ControlPlane, seeds: readonly SeedSecret[]): Promise<string[]> {
  const found = await readAll(controlPlane)
  const differences: string[] = []
  for (const seed of seeds) {
    const name = `${seed.namespace}/${seed.name}`
    const secret = found.get(name)
    if (secret === undefined) {
      differences.push(`${name}: missing`)
      continue
    }
    const expected = {
      type: seed.type ?? 'Opaque',
      immutable: seed.immutable ?? false,
      labels: seed.labels ?? {},
      annotations: seed.annotations ?? {},
      data: seed.data
    }
    const present = {
      type: secret.type,
      immutable: secret.immutable ?? false,
      labels: secret.metadata.labels ?? {},
      annotations: secret.metadata.annotations ?? {},
      data: secret.data ?? {}
    }
    for (const field of ['type', 'immutable', 'labels', 'annotations', 'data'] as const) {
      if (fingerprint(expected[field]) !== fingerprint(present[field])) differences.push(`${name}: ${field} changed`)
    }
  }
  return differences
}

interface FoundSecret {
  readonly type?: string
  readonly immutable?: boolean
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly data?: Readonly<Record<string, string>>
}

async function readAll(controlPlane: ControlPlane): Promise<ReadonlyMap<string, FoundSecret>> {
  const found = new Map<string, FoundSecret>()
  let token: string | undefined
  do {
    const query = new URLSearchParams({ limit: '500', ...(token === undefined ? {} : { continue: token }) })
    const answer = await controlPlane.request('GET', `/api/v1/secrets?${query.toString()}`)
    if (answer.status !== 200) throw new Error(`reading the Secrets back: ${answer.status} ${messageOf(answer.body)}`)
    const page = answer.body as {
      readonly metadata: { readonly continue?: string }
      readonly items: readonly FoundSecret[]
    }
    for (const secret of page.items) found.set(`${secret.metadata.namespace}/${secret.metadata.name}`, secret)
    token = page.metadata.continue
  } while (token !== undefined && token !== '')
  return found
}

const messageOf = (body: unknown): string =>
  typeof body === 'object' && body !== null && 'message' in body ? String(body.message) : ''

const fingerprint = (value: unknown): string =>
  typeof value === 'object' && value !== null
    ? JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : JSON.stringify(value)
