import { CLOUD_NAMES, parseCloud, type Cloud } from './azure/clouds.ts'
import { ActionError, CATALOG, type Code } from './errors.ts'
import type { ClusterName } from './model/cluster.ts'
import { parseKeyId, type KeyIdProblem, type KeyVersion } from './model/key-id.ts'
import type { NetworkAccess } from './model/kms-profile.ts'
import { compareVersions, FIRST_KMS_V2_MINOR, isVersion } from './model/kubernetes-version.ts'
import { OPERATIONS, type OperationName } from './model/operation.ts'

/** How the run signs in to Azure. */
export type CredentialChoice =
  | { readonly kind: 'oidc'; readonly clientId: string; readonly tenantId: string }
  | { readonly kind: 'azure-cli'; readonly tenantId: string | undefined }
  /** `clientId` undefined: the system-assigned identity of the runner's machine. */
  | { readonly kind: 'managed-identity'; readonly clientId: string | undefined }

/** What is asked for, validated. */
export interface Request {
  readonly operation: OperationName
  readonly dryRun: boolean
  readonly cluster: ClusterName
  readonly cloud: Cloud
  readonly credential: CredentialChoice
  /** Text of a kubeconfig; undefined: AKS is asked for one. */
  readonly kubeconfig: string | undefined
  readonly key: KeyVersion | undefined
  /** Undefined: as the cluster has it, `Public` where it has none. */
  readonly networkAccess: NetworkAccess | undefined
  readonly vaultResourceId: string | undefined
  readonly kubernetesVersion: string | undefined
  /** In milliseconds. */
  readonly maxKeyAge: number | undefined
  /** In milliseconds, for the whole run. */
  readonly timeout: number
  /** Requests to the Kubernetes API under way at once, at most. */
  readonly maxConcurrency: number
  /** Undefined: as many as the API server takes. */
  readonly maxRequestsPerSecond: number | undefined
  /** Namespace of the record and the lock. */
  readonly recordNamespace: string
}

/** The inputs as they were written; an empty string is an input that was not set. */
export interface RawInputs {
  readonly operation: string
  readonly dryRun: string
  readonly resourceGroup: string
  readonly clusterName: string
  readonly subscriptionId: string
  readonly tenantId: string
  readonly clientId: string
  readonly credential: string
  readonly azureCloud: string
  /** The text of a kubeconfig, not its path. */
  readonly kubeconfig: string
  readonly keyId: string
  readonly keyVaultNetworkAccess: string
  readonly keyVaultResourceId: string
  readonly kubernetesVersion: string
  readonly maxKeyAge: string
  readonly timeoutMinutes: string
  readonly maxConcurrency: string
  readonly maxRequestsPerSecond: string
  readonly recordNamespace: string
}

/** Validates every input and every rule between inputs. Throws an ActionError that names the input and its mending. */
export function parseRequest(inputs: RawInputs): Request {
  const operation = parseOperation(inputs.operation)
  const cloud = parseCloud(inputs.azureCloud || 'AzureCloud')
  if (cloud === undefined) {
    throw invalid(
      'azure-cloud',
      inputs.azureCloud,
      `${CLOUD_NAMES.join(', ')}, or JSON with authority, resourceManager, vaultSuffix and audience`
    )
  }
  const networkAccess = parseNetworkAccess(inputs.keyVaultNetworkAccess)
  const vaultResourceId = parseVaultResourceId(inputs.keyVaultResourceId, networkAccess)
  if (operation === 'enable') required('key-id', inputs.keyId, '`enable` needs the key version to encrypt under.')
  if (operation === 'disable') forbidden('key-id', inputs.keyId, '`disable` takes no key.')
  if (operation !== 'rotate') forbidden('max-key-age', inputs.maxKeyAge, 'It belongs to `rotate` only.')
  return {
    operation,
    dryRun: parseBoolean('dry-run', inputs.dryRun),
    cluster: {
      subscriptionId: parseGuid('subscription-id', inputs.subscriptionId, 'AZURE_SUBSCRIPTION_ID'),
      resourceGroup: parseName('resource-group', inputs.resourceGroup, /^[\p{L}\p{N}._()-]{0,89}[\p{L}\p{N}_()-]$/u),
      name: parseName('cluster-name', inputs.clusterName, /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/)
    },
    cloud,
    credential: parseCredential(inputs),
    kubeconfig: inputs.kubeconfig === '' ? undefined : inputs.kubeconfig,
    key: inputs.keyId === '' ? undefined : parseKey(inputs.keyId, cloud),
    networkAccess,
    vaultResourceId,
    kubernetesVersion: parseKubernetesVersion(inputs.kubernetesVersion),
    maxKeyAge: parseAge(inputs.maxKeyAge),
    timeout:
      parseWhole('timeout-minutes', inputs.timeoutMinutes || '120', 99_999, 'a whole number of minutes from 1') *
      60_000,
    maxConcurrency: parseWhole('max-concurrency', inputs.maxConcurrency || '100', MOST_CONCURRENCY),
    maxRequestsPerSecond:
      inputs.maxRequestsPerSecond === ''
        ? undefined
        : parseWhole('max-requests-per-second', inputs.maxRequestsPerSecond, 100_000),
    recordNamespace: parseName(
      'record-namespace',
      inputs.recordNamespace || 'kube-system',
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
    )
  }
}

/** `true` or `false` as YAML 1.2 writes them, and nothing that only looks like it. */
export function parseBoolean(name: string, text: string): boolean {
  if (/^(true|True|TRUE)$/.test(text)) return true
  if (/^(|false|False|FALSE)$/.test(text)) return false
  throw invalid(name, text, '`true` or `false`')
}

function parseOperation(text: string): OperationName {
  required('operation', text, `Use one of ${OPERATIONS.join(', ')}.`)
  const operation = OPERATIONS.find((name) => name === text)
  if (operation !== undefined) return operation
  throw new ActionError('operation-unknown', `“${text}” is not an operation; there are ${OPERATIONS.join(', ')}.`)
}

function parseCredential(inputs: RawInputs): CredentialChoice {
  const guid = (name: string, text: string, variable: string): string | undefined =>
    text === '' ? undefined : parseGuid(name, text, variable)
  switch (inputs.credential || 'oidc') {
    case 'oidc':
      return {
        kind: 'oidc',
        clientId: parseGuid('client-id', inputs.clientId, 'AZURE_CLIENT_ID'),
        tenantId: parseGuid('tenant-id', inputs.tenantId, 'AZURE_TENANT_ID')
      }
    case 'azure-cli':
      return { kind: 'azure-cli', tenantId: guid('tenant-id', inputs.tenantId, 'AZURE_TENANT_ID') }
    case 'managed-identity':
      return { kind: 'managed-identity', clientId: guid('client-id', inputs.clientId, 'AZURE_CLIENT_ID') }
    default:
      throw invalid('credential', inputs.credential, '`oidc`, `azure-cli` or `managed-identity`')
  }
}

const KEY_ID_PROBLEM: Readonly<Record<KeyIdProblem, Code>> = {
  malformed: 'key-id-malformed',
  versionless: 'key-id-versionless',
  'not-a-key': 'key-id-not-a-key',
  'managed-hsm': 'key-id-managed-hsm',
  'other-cloud': 'key-id-other-cloud'
}

function parseKey(text: string, cloud: Cloud): KeyVersion {
  const key = parseKeyId(text, cloud.vaultSuffix)
  if (typeof key !== 'string') return key
  const code = KEY_ID_PROBLEM[key]
  throw new ActionError(
    code,
    `key-id: ${CATALOG[code].title} “${text}” was given; expected is https://<vault>.${cloud.vaultSuffix}/keys/<name>/<version>.`
  )
}

function parseNetworkAccess(text: string): NetworkAccess | undefined {
  if (text === '') return undefined
  if (text === 'Public' || text === 'Private') return text
  throw invalid('key-vault-network-access', text, '`Public` or `Private`')
}

function parseVaultResourceId(text: string, access: NetworkAccess | undefined): string | undefined {
  if (access === 'Private') {
    required('key-vault-resource-id', text, 'It is needed when key-vault-network-access is `Private`.')
    if (!/^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.KeyVault\/vaults\/[^/]+$/i.test(text)) {
      throw invalid(
        'key-vault-resource-id',
        text,
        '/subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/<name>'
      )
    }
    return text
  }
  forbidden('key-vault-resource-id', text, 'It belongs to key-vault-network-access `Private` only.')
  return undefined
}

function parseKubernetesVersion(text: string): string | undefined {
  if (text === '') return undefined
  if (!isVersion(text)) throw invalid('kubernetes-version', text, 'a version such as 1.27 or 1.27.9')
  if (compareVersions(text, `1.${String(FIRST_KMS_V2_MINOR)}`) < 0) {
    throw invalid('kubernetes-version', text, `at least 1.${String(FIRST_KMS_V2_MINOR)}, the first version with KMS v2`)
  }
  return text
}

const HOURS: Readonly<Record<string, number>> = { h: 1, d: 24, w: 168 }

function parseAge(text: string): number | undefined {
  if (text === '') return undefined
  const [, amount, unit] = /^([1-9]\d{0,4})([hdw])$/.exec(text) ?? []
  const hours = HOURS[unit ?? '']
  if (amount === undefined || hours === undefined) throw invalid('max-key-age', text, 'a time such as 90d, 12w or 36h')
  return Number(amount) * hours * 3_600_000
}

/** Four connections of as many streams as kube-apiserver takes on one. */
const MOST_CONCURRENCY = 400

function parseWhole(
  name: string,
  text: string,
  most: number,
  expected = `a whole number from 1 to ${String(most)}`
): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (number < 1 || number > most) throw invalid(name, text, expected)
  return number
}

function parseGuid(name: string, text: string, variable: string): string {
  required(name, text, `Set it, or the environment variable ${variable}.`)
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw invalid(name, text, 'a GUID')
  return text.toLowerCase()
}

function parseName(name: string, text: string, form: RegExp): string {
  required(name, text)
  if (!form.test(text)) throw invalid(name, text, 'a name that Azure or Kubernetes permits there')
  return text
}

function required(name: string, text: string, hint = ''): void {
  if (text === '') throw new ActionError('input-missing', `The input ${name} is missing. ${hint}`.trim())
}

function forbidden(name: string, text: string, hint: string): void {
  if (text !== '') throw new ActionError('input-invalid', `The input ${name} must be empty here. ${hint}`)
}

function invalid(name: string, text: string, expected: string): ActionError {
  return new ActionError('input-invalid', `The input ${name} is “${text}”; expected is ${expected}.`)
}
