import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { ControlPlane, ControlPlaneOptions, StoredSecret } from '../contract.ts'
import type { EtcdClient } from '../etcd/client.ts'
import { parseStoredValue } from '../etcd/stored-value.ts'
import { connectAdmin, type AdminClient } from './admin-client.ts'
import { FILES } from './api-server.ts'
import { startApiServers, type HeldBack } from './api-servers.ts'
import { startBalancer } from './balancer.ts'
import { findBinaries } from './binaries.ts'
import { startEtcd } from './etcd-process.ts'
import { createKmsPlugins } from './kms-plugins.ts'
import { createPki } from './pki.ts'
import { startTokenWebhook } from './token-webhook.ts'

/** Its members may do everything by RBAC, unlike the group `system:masters`, to which nothing applies. */
const OPERATORS = 'aks-kms-operators'

const SECRETS_PREFIX = '/registry/secrets/'

export interface RealControlPlane extends ControlPlane {
  readonly kind: 'real'
  /** Path of the program that belongs to the API servers. */
  readonly kubectl: string
  /**
   * Lets the last `count` API servers lag: from now on they are left out of every roll, which resolves as if all were done,
   * and go on serving under the configuration that they have. Once only until they caught up. A lagging server reads what
   * the others write only if it knows their key: roll one with the new key behind the old one first, or hold back a server
   * while its own key is demoted.
   */
  holdBack(count: number): HeldBack
}

export interface RealControlPlaneOptions extends ControlPlaneOptions {
  /** As `--goaway-chance` of the API servers; none unless told. */
  readonly goawayChance?: number | undefined
  /** etcd waits for its disk; unless told it does not, which is quicker. */
  readonly durable?: boolean | undefined
}

/** etcd, kube-apiservers and KMS plugins on this machine, behind one address. */
export async function startRealControlPlane(options: RealControlPlaneOptions): Promise<RealControlPlane> {
  const binaries = await findBinaries()
  const started: (() => Promise<void> | void)[] = []

  async function stop(): Promise<void> {
    for (let undo = started.pop(); undo !== undefined; undo = started.pop()) await undo()
  }

  try {
    const directory = await mkdtemp(join(tmpdir(), `aks-kms-${process.pid}-`))
    started.push(() => rm(directory, { recursive: true, force: true }))
    const etcd = await startEtcd({ binary: binaries.etcd, directory, durable: options.durable ?? false })
    started.push(etcd.stop)
    const webhook = await startTokenWebhook(options.authenticateToken)
    started.push(webhook.stop)
    const balancer = await startBalancer()
    started.push(balancer.stop)

    const pki = await createPki()
    const { certificateAuthority } = pki
    const files = {
      [FILES.clientAuthority]: certificateAuthority,
      [FILES.servingCertificate]: pki.serving.certificate,
      [FILES.servingKey]: pki.serving.key,
      [FILES.serviceAccountKey]: pki.serviceAccountKey,
      [FILES.tokenWebhook]: webhook.kubeconfig
    }
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content)

    const adminCredential = { certificateAuthority, ...pki.admin }
    const apiServers = await startApiServers({
      settings: {
        binary: binaries.kubeApiserver,
        directory,
        etcdEndpoint: etcd.endpoint,
        kmsV1: options.kmsV1 ?? false,
        goawayChance: options.goawayChance ?? 0,
        admin: adminCredential
      },
      count: options.apiServers ?? 1,
      encryption: options.encryption,
      plugins: createKmsPlugins(options.keyOperations, directory),
      balancer
    })
    started.push(apiServers.stop)
    const admin = connectAdmin(balancer.port, adminCredential)
    started.push(admin.close)
    await bindOperators(admin)

    return {
      kind: 'real',
      server: `https://127.0.0.1:${balancer.port}`,
      certificateAuthority,
      adminCertificate: pki.admin,
      kubectl: binaries.kubectl,
      roll: apiServers.roll,
      restart: apiServers.restart,
      holdBack: apiServers.holdBack,
      storedSecrets: () => storedSecrets(etcd.client),
      seed: admin.seed,
      request: admin.request,
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function bindOperators(admin: AdminClient): Promise<void> {
  const answer = await admin.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: OPERATORS },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: OPERATORS }]
  })
  if (answer.status !== 201) throw new Error(`The operators could not be bound: ${JSON.stringify(answer.body)}`)
}

async function storedSecrets(etcd: EtcdClient): Promise<readonly StoredSecret[]> {
  const entries = await etcd.list(SECRETS_PREFIX)
  return entries.map(({ key, value, revision }) => {
    const [namespace = '', name = ''] = key.slice(SECRETS_PREFIX.length).split('/')
    return { namespace, name, ...parseStoredValue(value), revision, bytes: value }
  })
}
