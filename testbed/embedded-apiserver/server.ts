import { createCertificateAuthority } from '../certificate-authority.ts'
import type {
  ControlPlane,
  ControlPlaneOptions,
  EncryptionConfiguration,
  SeedSecret,
  StoredSecret
} from '../contract.ts'
import { connectAdmin, type AdminClient } from '../control-plane/admin-client.ts'
import { parseStoredValue } from '../etcd/stored-value.ts'
import { authenticate } from './authentication.ts'
import { startEncryption } from './encryption/configuration.ts'
import { Etcd } from './etcd.ts'
import { FaultPlan, type Faults } from './faults.ts'
import type { Run } from './handlers.ts'
import { createApiServerId, IdentityLease } from './identity-lease.ts'
import { listen } from './listener.ts'
import { Metrics } from './metrics.ts'
import { Registry } from './registry.ts'
import { namespaces } from './resources/namespaces.ts'
import { secrets } from './resources/secrets.ts'
import { serve } from './serve.ts'

export interface EmbeddedControlPlane extends ControlPlane {
  readonly kind: 'embedded'
  readonly faults: Faults
}

/** An API server and its etcd within this process. Speaks the part of the Kubernetes API that the action and its tests need. */
export async function startEmbeddedControlPlane(options: ControlPlaneOptions): Promise<EmbeddedControlPlane> {
  const authority = await createCertificateAuthority()
  const serving = await authority.issue({ hosts: ['127.0.0.1', 'localhost', 'kubernetes'] })
  const adminCertificate = await authority.issue({
    hosts: [],
    commonName: 'kubernetes-admin',
    organizations: ['system:masters']
  })
  const etcd = new Etcd()

  let configuration = options.encryption

  const start = async (): Promise<Run> => {
    const id = createApiServerId()
    const metrics = new Metrics(id, JSON.stringify(configuration))
    const { keyOperations, kmsV1 = false, pluginTimeScale: timeScale = 1 } = options
    const encryption = await startEncryption(configuration, { keyOperations, kmsV1, metrics, timeScale })
    const registry = new Registry(etcd, encryption, faults)
    const usesKms = configuration.some(({ kind }) => kind === 'kms')
    return { metrics, encryption, registry, identityLease: new IdentityLease(registry, id), usesKms }
  }
  /** Until it is ready; throws where it would not become so. */
  const startReady = async (encryption: EncryptionConfiguration): Promise<Run> => {
    const before = configuration
    configuration = encryption
    const next = await start()
    try {
      await next.encryption.check()
      await next.registry.assertReadable(secrets)
      return next
    } catch (error) {
      configuration = before
      next.encryption.stop()
      throw error
    }
  }
  const faults: FaultPlan = new FaultPlan(etcd, () => run.registry)
  let run = await startReady(options.encryption)
  for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system']) await createNamespace(run, name)
  await run.identityLease.announce()

  const listener = await listen({ ...serving, clientAuthority: authority.certificate }, (incoming) => {
    const user = authenticate(incoming, options.authenticateToken)
    serve(incoming, user, () => run, faults).catch(() => incoming.reset())
  })
  const connect = (): AdminClient =>
    connectAdmin(listener.port, { certificateAuthority: authority.certificate, ...adminCertificate })
  let admin = connect()

  const replace = async (next: Run): Promise<void> => {
    await next.identityLease.announce()
    await run.identityLease.withdraw()
    run.registry.retire()
    run.encryption.stop()
    run = next
    listener.dropConnections()
    admin.close()
    admin = connect()
  }

  return {
    kind: 'embedded',
    server: `https://127.0.0.1:${listener.port}`,
    certificateAuthority: authority.certificate,
    adminCertificate,
    faults,
    request: (...about) => admin.request(...about),
    // Where the next run does not become ready, the present one goes on.
    roll: async (encryption) => replace(await startReady(encryption)),
    restart: async () => replace(await start()),
    storedSecrets: () => Promise.resolve(readStoredSecrets(etcd)),
    seed: (seeds) => seed(run, seeds),
    async stop() {
      run.identityLease.abandon()
      run.encryption.stop()
      admin.close()
      await listener.close()
    }
  }
}

const write = { dryRun: false }

const createNamespace = (run: Run, name: string): Promise<unknown> =>
  run.registry.create(namespaces, '', { metadata: { name } }, write)

async function seed(run: Run, seeds: readonly SeedSecret[]): Promise<void> {
  for (const name of new Set(seeds.map(({ namespace }) => namespace))) {
    if (!run.registry.has({ resource: namespaces, namespace: '', name })) await createNamespace(run, name)
  }
  for (const { namespace, name, labels, annotations, ...rest } of seeds) {
    await run.registry.create(secrets, namespace, { ...rest, metadata: { name, labels, annotations } }, write)
  }
}

function readStoredSecrets(etcd: Etcd): readonly StoredSecret[] {
  const prefix = '/registry/secrets/'
  return etcd.range(prefix).keyValues.map(({ key, value, modRevision }) => {
    const [namespace = '', name = ''] = key.slice(prefix.length).split('/')
    return { namespace, name, ...parseStoredValue(value), revision: modRevision, bytes: value }
  })
}
