import { join } from 'node:path'

import { connectAdmin, type AdminCredential } from './admin-client.ts'
import { freePort } from './free-port.ts'
import { startServerProcess, type ServerProcess } from './server-process.ts'

/** What all API servers of one control plane have in common. */
export interface ApiServerSettings {
  readonly binary: string
  /** Holds the files that are named below, and the logs. */
  readonly directory: string
  readonly etcdEndpoint: string
  readonly kmsV1: boolean
  /** At which share of requests over HTTP/2 a client is told to connect anew (GOAWAY): at most 0.02. */
  readonly goawayChance: number
  readonly admin: AdminCredential
}

export interface ApiServer {
  readonly port: number
  /** Takes no new connections any more, ends those that are idle and finishes the requests under way. */
  terminate(): void
  kill(): Promise<void>
}

/** Files in the directory of the control plane. */
export const FILES = {
  clientAuthority: 'client-authority.pem',
  servingCertificate: 'serving.pem',
  servingKey: 'serving.key',
  serviceAccountKey: 'service-account.key',
  tokenWebhook: 'token-webhook.json'
}

/** Only what can stop or shape the writing of a Secret. */
const ADMISSION_PLUGINS = [
  'NamespaceLifecycle',
  'ResourceQuota',
  'MutatingAdmissionWebhook',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionWebhook'
]

/** What API servers themselves ask for and what the action uses; each further group costs time at the start. */
const API_GROUPS = [
  'v1',
  'admissionregistration.k8s.io/v1',
  'apiextensions.k8s.io/v1',
  'apiregistration.k8s.io/v1',
  'authentication.k8s.io/v1',
  'authorization.k8s.io/v1',
  'coordination.k8s.io/v1',
  'discovery.k8s.io/v1',
  'flowcontrol.apiserver.k8s.io/v1',
  'networking.k8s.io/v1',
  'rbac.authorization.k8s.io/v1'
]

const START_ATTEMPTS = 5

/**
 * When a start is over. `ready-again`: as `ready`, but the roles that every API server makes sure of a second after its start are
 * in etcd already and need not be waited for. `answering`: ready or not.
 */
export type StartedWhen = 'ready' | 'ready-again' | 'answering'

const STARTED: Readonly<Record<StartedWhen, string>> = {
  ready: '/readyz',
  'ready-again': '/readyz?exclude=poststarthook/rbac/bootstrap-roles',
  // Of resources that can't be decrypted the storage never becomes ready.
  answering: '/livez?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/storage-readiness'
}

interface StartOptions {
  readonly encryptionConfiguration: string
  readonly until: StartedWhen
}

/** Starts an API server, and resolves when it is as far as is asked for. */
export async function startApiServer(settings: ApiServerSettings, options: StartOptions): Promise<ApiServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOn(await freePort(), settings, options)
    } catch (error) {
      if (attempt === START_ATTEMPTS || !String(error).includes('address already in use')) throw error
    }
  }
}

async function startOn(port: number, settings: ApiServerSettings, options: StartOptions): Promise<ApiServer> {
  const server = startServerProcess({
    program: settings.binary,
    args: flags(port, settings, options.encryptionConfiguration),
    // As in AKS, where a restarted API server is a new pod, each one has an identity of its own.
    environment: { KUBE_APISERVER_HOSTNAME: `kube-apiserver-${port}` },
    log: join(settings.directory, `kube-apiserver-${port}.log`)
  })
  try {
    await waitUntilStarted(server, port, settings.admin, options.until)
  } catch (error) {
    await server.kill()
    throw error
  }
  return { port, terminate: server.terminate, kill: server.kill }
}

async function waitUntilStarted(
  server: ServerProcess,
  port: number,
  admin: AdminCredential,
  until: StartedWhen
): Promise<void> {
  const client = connectAdmin(port, admin)
  try {
    await server.waitUntil(async () => {
      try {
        return (await client.request('GET', STARTED[until])).status === 200
      } catch {
        return false
      }
    })
  } finally {
    client.close()
  }
}

function flags(port: number, settings: ApiServerSettings, encryptionConfiguration: string): readonly string[] {
  const file = (name: keyof typeof FILES): string => join(settings.directory, FILES[name])
  return [
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${file('servingCertificate')}`,
    `--tls-private-key-file=${file('servingKey')}`,
    `--etcd-servers=${settings.etcdEndpoint}`,
    `--encryption-provider-config=${encryptionConfiguration}`,
    `--goaway-chance=${settings.goawayChance}`,
    `--client-ca-file=${file('clientAuthority')}`,
    `--authentication-token-webhook-config-file=${file('tokenWebhook')}`,
    '--authentication-token-webhook-version=v1',
    '--authentication-token-webhook-cache-ttl=1s',
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('serviceAccountKey')}`,
    `--service-account-signing-key-file=${file('serviceAccountKey')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--endpoint-reconciler-type=none',
    `--admission-control=${ADMISSION_PLUGINS.join(',')}`,
    `--runtime-config=api/all=false,${API_GROUPS.map((group) => `${group}=true`).join(',')}`,
    ...(settings.kmsV1 ? ['--feature-gates=KMSv1=true'] : [])
  ]
}
