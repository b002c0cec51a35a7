import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { ActionError } from '../errors.ts'
import { isJsonObject } from '../model/json.ts'

/** An exec plugin of a kubeconfig's user, such as kubelogin, and the cluster that it is asked for. */
export interface ExecPlugin {
  readonly user: string
  /** `users[].user.exec` as it is in the kubeconfig. */
  readonly exec: unknown
  readonly server: string
  /** PEM. */
  readonly authorities: string | undefined
}

/** What a plugin issued; certificate and key are PEM. */
export interface IssuedCredential {
  readonly token: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
}

interface ExecConfig {
  readonly apiVersion?: string
  readonly command: string
  readonly args?: readonly string[] | null
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null
  readonly provideClusterInfo?: boolean
}

/** A plugin that waits for somebody to sign in would wait for ever. */
const PLUGIN_TIMEOUT = 60_000

/** A credential is renewed this long before it expires, so that none expires under way. */
const RENEW_AHEAD = 120_000

/**
 * The credential of an exec plugin: asked for once, and again before it expires or when it was rejected.
 * client-node's ExecAuth does not say when a credential expires, so it can't be used for this.
 * Source: kubernetes.io/docs/reference/config-api/client-authentication.v1
 */
export function execCredential<Credential>(
  plugin: ExecPlugin,
  toCredential: (issued: IssuedCredential) => Credential
): { credential(): Promise<Credential>; rejectCredential(): void } {
  let current: Promise<Credential> | undefined
  let renewAt = 0
  const renew = async (): Promise<Credential> => {
    renewAt = Infinity
    try {
      const { issued, expires } = await run(plugin)
      const life = expires - Date.now()
      renewAt = expires - Math.min(RENEW_AHEAD, life / 2)
      return toCredential(issued)
    } catch (error) {
      renewAt = 0
      throw error
    }
  }
  return {
    credential: () => (current === undefined || Date.now() >= renewAt ? (current = renew()) : current),
    rejectCredential() {
      renewAt = 0
    }
  }
}

async function run(plugin: ExecPlugin): Promise<{ issued: IssuedCredential; expires: number }> {
  const exec = configOf(plugin)
  const environment = Object.fromEntries((exec.env ?? []).map(({ name, value }) => [name, value]))
  const { stdout } = await promisify(execFile)(exec.command, exec.args ?? [], {
    env: { ...process.env, KUBERNETES_EXEC_INFO: execInfo(plugin, exec), ...environment },
    timeout: PLUGIN_TIMEOUT
  }).catch((cause: unknown) => {
    throw failed(plugin, `${exec.command} ${exitOf(cause)}`)
  })
  return read(plugin, stdout)
}

function configOf(plugin: ExecPlugin): ExecConfig {
  const { exec } = plugin
  if (!isJsonObject(exec) || typeof exec['command'] !== 'string' || exec['command'] === '') {
    throw failed(plugin, 'it names no command')
  }
  return exec as unknown as ExecConfig
}

function execInfo(plugin: ExecPlugin, exec: ExecConfig): string {
  const cluster = {
    server: plugin.server,
    ...(plugin.authorities !== undefined && {
      'certificate-authority-data': Buffer.from(plugin.authorities).toString('base64')
    })
  }
  return JSON.stringify({
    kind: 'ExecCredential',
    apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1',
    spec: { interactive: false, ...(exec.provideClusterInfo === true && { cluster }) }
  })
}

function read(plugin: ExecPlugin, stdout: string): { issued: IssuedCredential; expires: number } {
  let document: unknown
  try {
    document = JSON.parse(stdout)
  } catch {
    throw failed(plugin, 'its answer is not JSON')
  }
  const status = isJsonObject(document) ? document['status'] : undefined
  if (!isJsonObject(status)) throw failed(plugin, 'its answer has no status')
  const text = (name: string) => (typeof status[name] === 'string' && status[name] !== '' ? status[name] : undefined)
  const issued = { token: text('token'), certificate: text('clientCertificateData'), key: text('clientKeyData') }
  if (issued.token === undefined && issued.certificate === undefined) {
    throw failed(plugin, 'its answer has neither a token nor a client certificate')
  }
  const expires = Date.parse(text('expirationTimestamp') ?? '')
  return { issued, expires: Number.isNaN(expires) ? Infinity : expires }
}

/** Its output is not shown: a plugin may write what it holds. */
function exitOf(error: unknown): string {
  const { code, killed } = error as { readonly code?: string | number; readonly killed?: boolean }
  if (killed === true) return `gave no answer in ${PLUGIN_TIMEOUT / 1000} s`
  return code === 'ENOENT' ? 'is not installed' : `ended with ${code}`
}

function failed(plugin: ExecPlugin, problem: string): ActionError {
  return new ActionError(
    'kubeconfig-invalid',
    `The exec plugin of user "${plugin.user}" gave no credential: ${problem}.`,
    {
      fix: 'Run `kubectl get --raw /version` with this kubeconfig in a step before, to see what the plugin says.'
    }
  )
}
