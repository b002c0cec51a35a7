import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'

import { getProxyUrl } from '@actions/http-client/lib/proxy'
import {
  newClusters,
  newContexts,
  newUsers,
  type Cluster,
  type Context,
  type User
} from '@kubernetes/client-node/dist/config_types.js'
import { load, YAMLException } from 'js-yaml'

import { ActionError } from '../errors.ts'
import { asObject, asObjects, isJsonObject, type JsonObject } from '../model/json.ts'
import { execCredential } from './exec-credential.ts'

/** What a transport needs to reach one API server address. */
export interface KubernetesEndpoint {
  /** `https://…`; a path in it goes before every request's path. */
  readonly server: URL
  /** Name to send and to check in the certificate instead of the server's. */
  readonly serverName: string | undefined
  /** HTTP proxy to tunnel through. */
  readonly proxy: URL | undefined
  /** Asked before every request; answers at once unless the credential is about to expire. */
  credential(): Promise<Credential>
  /** The API server did not accept the credential: the next one is got anew, where it can be. */
  rejectCredential(): void
}

export interface Credential {
  /** Value of the `Authorization` header. */
  readonly authorization: string | undefined
  /** Authorities, client certificate and key. */
  readonly secureContext: SecureContext
}

export interface EndpointOptions {
  /** Text of a kubeconfig. */
  readonly kubeconfig: string
  /** Replaces whatever the kubeconfig says of its user: a Microsoft Entra token for the cluster. */
  readonly bearerToken?: (() => Promise<string>) | undefined
}

/**
 * The endpoint of a kubeconfig's current context.
 * Throws ActionError `kubeconfig-invalid`, which names the context, cluster or user at fault and never a value.
 * Source: kubernetes.io/docs/reference/config-api/kubeconfig.v1
 */
export function readKubeconfig({ kubeconfig, bearerToken }: EndpointOptions): KubernetesEndpoint {
  const { context, cluster, user, rawUser } = currentContext(parse(kubeconfig))
  const authorities = pem(`cluster "${cluster.name}"`, 'certificate-authority', cluster.caData, cluster.caFile)
  const server = serverOf(cluster)
  return {
    server,
    serverName: cluster.tlsServerName,
    proxy: proxyOf(cluster, server),
    ...(bearerToken === undefined
      ? userCredential(context, cluster, user, rawUser, authorities)
      : entraCredential(bearerToken, secureContext(`cluster "${cluster.name}"`, authorities)))
  }
}

type CredentialSource = Pick<KubernetesEndpoint, 'credential' | 'rejectCredential'>

function entraCredential(bearerToken: () => Promise<string>, secureContext: SecureContext): CredentialSource {
  return {
    credential: async () => ({ authorization: `Bearer ${await bearerToken()}`, secureContext }),
    rejectCredential: () => {}
  }
}

function userCredential(
  context: Context,
  cluster: Cluster,
  user: User | undefined,
  rawUser: JsonObject,
  authorities: string | undefined
): CredentialSource {
  if (user === undefined) throw invalid(`context "${context.name}" names user "${context.user}", which is not there`)
  const owner = `user "${user.name}"`
  if (user.authProvider) {
    throw invalid(
      `${owner} signs in by an auth-provider, which Kubernetes no longer supports`,
      'Convert it to an exec plugin: `kubelogin convert-kubeconfig -l azurecli`, or pass a kubeconfig with a token.'
    )
  }
  if (user.username || user.password) {
    throw invalid(`${owner} signs in by user name and password, which Kubernetes no longer supports`)
  }
  if (user.impersonateUser) throw invalid(`${owner} impersonates another user, which is not supported`)

  const certificate = pem(owner, 'client-certificate', user.certData, user.certFile)
  const key = pem(owner, 'client-key', user.keyData, user.keyFile)
  const own = secureContext(owner, authorities, certificate, key)
  const tokenFile = rawUser['tokenFile']
  if (typeof tokenFile === 'string' && tokenFile !== '') return tokenFileCredential(owner, tokenFile, own)
  if (user.token) return fixedCredential({ authorization: `Bearer ${user.token}`, secureContext: own })
  if (user.exec) {
    return execCredential(
      { user: user.name, exec: user.exec as unknown, server: cluster.server, authorities },
      (issued) => ({
        authorization: issued.token === undefined ? undefined : `Bearer ${issued.token}`,
        secureContext:
          issued.certificate === undefined ? own : secureContext(owner, authorities, issued.certificate, issued.key)
      })
    )
  }
  if (certificate === undefined) {
    throw invalid(`${owner} has no credential: no token, client certificate or exec plugin`)
  }
  return fixedCredential({ authorization: undefined, secureContext: own })
}

function fixedCredential(credential: Credential): CredentialSource {
  const settled = Promise.resolve(credential)
  return { credential: () => settled, rejectCredential: () => {} }
}

/** A projected service account token is replaced on disk long before it expires; client-go too reads it once a minute. */
function tokenFileCredential(owner: string, path: string, secureContext: SecureContext): CredentialSource {
  let current: Promise<Credential> | undefined
  let readAt = 0
  return {
    async credential() {
      if (current === undefined || Date.now() - readAt > 60_000) {
        const token = readText(owner, 'tokenFile', path).trim()
        readAt = Date.now()
        current = Promise.resolve({ authorization: `Bearer ${token}`, secureContext })
      }
      return current
    },
    rejectCredential() {
      current = undefined
    }
  }
}

function parse(kubeconfig: string): JsonObject {
  let document: unknown
  try {
    document = load(kubeconfig)
  } catch (error) {
    // The exception's own message quotes the text around the fault, which may be a key.
    const line = error instanceof YAMLException && error.mark !== undefined ? ` at line ${error.mark.line + 1}` : ''
    throw invalid(`the text is not YAML${line}`)
  }
  if (!isJsonObject(document)) throw invalid('the text is not a kubeconfig')
  return document
}

function currentContext(document: JsonObject) {
  const name = document['current-context']
  if (typeof name !== 'string' || name === '') {
    throw invalid(
      'it has no current-context',
      'Choose one: `kubectl config use-context <name>`, or `az aks get-credentials -g <resource group> -n <cluster> -f <file>`.'
    )
  }
  // Entries that other contexts use may be broken: only the chosen one matters.
  const lenient = { onInvalidEntry: 'filter' } as const
  const context = newContexts(document['contexts'], lenient).find((candidate) => candidate.name === name)
  if (context === undefined) throw invalid(`the current context "${name}" is not there, or names no cluster`)
  const cluster = newClusters(document['clusters'], lenient).find((candidate) => candidate.name === context.cluster)
  if (cluster === undefined) {
    throw invalid(`context "${name}" names cluster "${context.cluster}", which is not there or has no server`)
  }
  if (cluster.skipTLSVerify) {
    throw invalid(
      `cluster "${cluster.name}" sets insecure-skip-tls-verify, but the check of the certificate is never switched off`,
      'Give the cluster’s authority in certificate-authority-data instead.'
    )
  }
  const user = newUsers(document['users'], lenient).find((candidate) => candidate.name === context.user)
  return { context, cluster, user, rawUser: rawUserOf(document, context.user) }
}

/** client-node reads `token-file`, which kubectl does not write, and not `tokenFile`, which it does. */
function rawUserOf(document: JsonObject, name: string): JsonObject {
  return asObject(asObjects(document['users']).find((entry) => entry['name'] === name)?.['user'])
}

function serverOf(cluster: Cluster): URL {
  const server = URL.parse(cluster.server)
  if (server?.protocol !== 'https:') throw invalid(`the server of cluster "${cluster.name}" is not an https address`)
  return server
}

function proxyOf(cluster: Cluster, server: URL): URL | undefined {
  if (!cluster.proxyUrl) return getProxyUrl(server)
  const proxy = URL.parse(cluster.proxyUrl)
  if (proxy === null || !/^https?:$/.test(proxy.protocol)) {
    throw invalid(`the proxy-url of cluster "${cluster.name}" is not an http or https address`)
  }
  return proxy
}

function pem(owner: string, field: string, data: unknown, file: unknown): string | undefined {
  if (typeof data === 'string' && data !== '') {
    const text = Buffer.from(data, 'base64').toString()
    if (!text.includes('-----BEGIN ')) throw invalid(`the ${field}-data of ${owner} is not a PEM text in base64`)
    return text
  }
  return typeof file === 'string' && file !== '' ? readText(owner, field, file) : undefined
}

function readText(owner: string, field: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw invalid(`the ${field} of ${owner}, ${path}, can’t be read`, undefined, cause)
  }
}

function secureContext(owner: string, ca?: string, cert?: string, key?: string): SecureContext {
  if ((cert === undefined) !== (key === undefined)) {
    throw invalid(`${owner} has a client certificate or a client key, but not both`)
  }
  try {
    return createSecureContext({ minVersion: 'TLSv1.2', ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
  } catch (cause) {
    throw invalid(`the certificates or the key of ${owner} can’t be used`, undefined, cause)
  }
}

function invalid(problem: string, fix?: string, cause?: unknown): ActionError {
  return new ActionError('kubeconfig-invalid', `In the kubeconfig, ${problem}.`, {
    ...(fix !== undefined && { fix }),
    cause
  })
}
