import { CLOUD_NAMES, parseCloud, type Cloud } from './azure/clouds.ts'
import { parseClusterDefinition } from './cluster-definition.ts'
import { ActionError, CATALOG, type Code } from './errors.ts'
import { desiredCluster, parseDesiredState } from './desired-state.ts'
import { parseAge } from './model/age.ts'
import { groupOf, nameOf, plainLocation } from './model/arm-id.ts'
import { vaultIdFor } from './model/attached-vault.ts'
import type { ClusterName } from './model/cluster.ts'
import type { DesiredCluster } from './model/desired-cluster.ts'
import type { JsonObject } from './model/json.ts'
import { parseKey as readKey, parseKeyId, type KeyIdProblem, type KeyVersion } from './model/key-id.ts'
import { kmsOn, type NetworkAccess } from './model/kms-profile.ts'
import { compareVersions, FIRST_KMS_V2_MINOR, isVersion } from './model/kubernetes-version.ts'
import { CLUSTER_NAME, GUID, RESOURCE_GROUP, VAULT_ID } from './model/names.ts'
import { OPERATIONS, type OperationName } from './model/operation.ts'
import { KEY_SIZES, type WantedPreparation } from './model/preparation.ts'

/** How the run signs in to Azure. */
export type CredentialChoice =
  | { readonly kind: 'oidc'; readonly clientId: string; readonly tenantId: string }
  | { readonly kind: 'azure-cli'; readonly tenantId: string | undefined }
  /** `clientId` undefined: the system-assigned identity of the runner's machine. */
  | { readonly kind: 'managed-identity'; readonly clientId: string | undefined }
  /** A kubeconfig is all there is: Azure is asked for nothing. */
  | { readonly kind: 'none' }

/** What is asked for, validated. */
export interface Request {
  readonly operation: OperationName
  readonly dryRun: boolean
  /** Undefined where the operation is about none, or about one that only its kubeconfig leads to. */
  readonly cluster: ClusterName | undefined
  /** Empty where Azure is asked for nothing. */
  readonly subscriptionId: string
  readonly resourceGroup: string | undefined
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
  /** Rotate twice, so that the key version in use now is needed no more. */
  readonly retirePrevious: boolean
  /** Mend a key version in use that can't be used any more, before rotating off it. */
  readonly repair: boolean
  readonly preparation: WantedPreparation | undefined
  /** ARM id of the cluster's user-assigned identity. */
  readonly identityResourceId: string | undefined
  /** The managed cluster's body for `create`, with its identity and without its KMS profile. */
  readonly clusterDefinition: JsonObject | undefined
  /** Only clusters whose rotation is due. */
  readonly dueOnly: boolean
  /** What the cluster is to be like, for `reconcile`. */
  readonly desired: DesiredCluster | undefined
  /** Only a plan that was approved may be carried out: the one of this hash, or the one in the comment on the pull request. */
  readonly approval: { readonly kind: 'hash'; readonly hash: string } | { readonly kind: 'comment' } | undefined
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
  readonly retirePrevious: string
  readonly repair: string
  readonly keyName: string
  readonly keySize: string
  readonly keyRotationInterval: string
  readonly identityResourceId: string
  readonly location: string
  /** The text of a managed cluster's JSON body, not its path. */
  readonly clusterDefinition: string
  readonly dueOnly: string
  /** The text of a desired state, not its path. */
  readonly desiredState: string
  /** Name of its entry. */
  readonly cluster: string
  readonly expectedPlanHash: string
  readonly approvedPlan: string
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
  for (const [name, text] of Object.entries(ownInputs(inputs))) {
    const operations = TAKEN_BY[name] ?? []
    if (!operations.includes(operation)) forbidden(name, text, `It belongs to ${inWords(operations)} only.`)
  }
  if (operation === 'enable' || operation === 'create') {
    required('key-id', inputs.keyId, `\`${operation}\` needs the key version to encrypt under.`)
  }
  if (operation === 'create') {
    forbidden('kubeconfig', inputs.kubeconfig, 'The cluster is yet to be created, and AKS is asked for it then.')
  }
  if (operation === 'change-vault-mode') {
    required('key-vault-network-access', inputs.keyVaultNetworkAccess, 'It is the mode to change to.')
  }
  const key = inputs.keyId === '' ? undefined : parseKey(inputs.keyId, cloud)
  if (key !== undefined && vaultResourceId !== undefined && vaultIdFor(key, [vaultResourceId]) === undefined) {
    throw invalid('key-vault-resource-id', vaultResourceId, `that of the vault of key-id, ${key.vaultName}`)
  }
  const dueOnly = parseBoolean('due-only', inputs.dueOnly)
  if (dueOnly) required('max-key-age', inputs.maxKeyAge, 'Without it no rotation is ever due.')
  const identityResourceId = parseIdentityId(inputs.identityResourceId)
  const target = parseTarget(operation, inputs, cloud)
  return {
    operation,
    dryRun: parseBoolean('dry-run', inputs.dryRun),
    ...target,
    cloud,
    kubeconfig: inputs.kubeconfig === '' ? undefined : inputs.kubeconfig,
    key,
    networkAccess,
    vaultResourceId,
    kubernetesVersion: parseKubernetesVersion(inputs.kubernetesVersion),
    maxKeyAge: parseMaxAge('max-key-age', inputs.maxKeyAge),
    retirePrevious: parseBoolean('retire-previous', inputs.retirePrevious),
    repair: parseBoolean('repair', inputs.repair),
    preparation: operation === 'prepare' ? parsePreparation(inputs, cloud, networkAccess ?? 'Public') : undefined,
    identityResourceId,
    clusterDefinition:
      operation === 'create' && key !== undefined
        ? parseClusterDefinition(inputs.clusterDefinition, {
            clusterName: target.cluster?.name,
            identityId: identityResourceId,
            kms: kmsOn(key.url, networkAccess ?? 'Public', vaultResourceId)
          })
        : undefined,
    dueOnly,
    approval: parseApproval(inputs),
    timeout:
      parseWhole('timeout-minutes', inputs.timeoutMinutes || '120', 99_999, 'a whole number of minutes from 1') *
      60_000,
    maxConcurrency: parseWhole('max-concurrency', inputs.maxConcurrency || '200', MOST_CONCURRENCY),
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

/** The age at which a key version is to be rotated off, in milliseconds; undefined: none was asked for. */
export function maxKeyAgeOf({ maxKeyAge, desired }: Pick<Request, 'maxKeyAge' | 'desired'>): number | undefined {
  return maxKeyAge ?? desired?.maxKeyAge
}

/** Which operations take an input that is not for all of them. */
const TAKEN_BY: Readonly<Record<string, readonly OperationName[]>> = {
  'key-id': ['create', 'enable', 'rotate', 'migrate-v2'],
  'max-key-age': ['rotate', 'status'],
  'retire-previous': ['rotate'],
  repair: ['rotate'],
  'key-name': ['prepare'],
  'key-size': ['prepare'],
  'key-rotation-interval': ['prepare'],
  location: ['prepare'],
  'identity-resource-id': ['prepare', 'create'],
  'cluster-definition': ['create'],
  'due-only': ['status'],
  'desired-state': ['reconcile'],
  cluster: ['reconcile']
}

function ownInputs(inputs: RawInputs): Readonly<Record<string, string>> {
  const unless = (unset: string, text: string): string => (text.toLowerCase() === unset ? '' : text)
  return {
    'key-id': inputs.keyId,
    'max-key-age': inputs.maxKeyAge,
    'retire-previous': unless('false', inputs.retirePrevious),
    repair: unless('false', inputs.repair),
    'key-name': inputs.keyName,
    'key-size': inputs.keySize,
    'key-rotation-interval': inputs.keyRotationInterval,
    location: inputs.location,
    'identity-resource-id': inputs.identityResourceId,
    'cluster-definition': inputs.clusterDefinition,
    'due-only': unless('false', inputs.dueOnly),
    'desired-state': inputs.desiredState,
    cluster: inputs.cluster
  }
}

function inWords(operations: readonly OperationName[]): string {
  return operations.map((operation) => `\`${operation}\``).join(' and ')
}

type RequestedTarget = Pick<Request, 'cluster' | 'subscriptionId' | 'resourceGroup' | 'credential' | 'desired'>

/**
 * One cluster by name, by its entry in a desired state, or whatever cluster a kubeconfig leads to; for `status` also all of a
 * resource group or of the subscription; or none.
 */
function parseTarget(operation: OperationName, inputs: RawInputs, cloud: Cloud): RequestedTarget {
  if (operation === 'reconcile') return parseDesiredTarget(inputs, cloud)
  if (operation === 'prepare') return targetOfPreparation(inputs)
  const byKubeconfig = operation === 're-encrypt' && inputs.kubeconfig !== '' && inputs.clusterName === ''
  if (byKubeconfig) {
    forbidden(
      'resource-group',
      inputs.resourceGroup,
      'Without `cluster-name` the kubeconfig alone leads to the cluster.'
    )
    return {
      cluster: undefined,
      subscriptionId: '',
      resourceGroup: undefined,
      credential: { kind: 'none' },
      desired: undefined
    }
  }
  if (operation === 're-encrypt') {
    required(
      'cluster-name',
      inputs.clusterName,
      'Set it, or pass a `kubeconfig` alone, with which Azure is not needed.'
    )
  }
  const subscriptionId = parseGuid('subscription-id', inputs.subscriptionId, 'AZURE_SUBSCRIPTION_ID')
  if (operation === 'status' && inputs.clusterName === '') {
    forbidden('kubeconfig', inputs.kubeconfig, 'It leads to one cluster: name that by `cluster-name`.')
    const group = inputs.resourceGroup
    return {
      cluster: undefined,
      subscriptionId,
      resourceGroup: group === '' ? undefined : parseName('resource-group', group, RESOURCE_GROUP),
      credential: parseCredential(inputs),
      desired: undefined
    }
  }
  const resourceGroup = parseName('resource-group', inputs.resourceGroup, RESOURCE_GROUP)
  const name = parseName('cluster-name', inputs.clusterName, CLUSTER_NAME)
  return {
    cluster: { subscriptionId, resourceGroup, name },
    subscriptionId,
    resourceGroup,
    credential: parseCredential(inputs),
    desired: undefined
  }
}

/** The entry says which cluster it is, and all that is wanted of it. */
function parseDesiredTarget(inputs: RawInputs, cloud: Cloud): RequestedTarget {
  required('desired-state', inputs.desiredState, '`reconcile` needs the file with what your clusters are to be like.')
  required('cluster', inputs.cluster, '`reconcile` needs the name of a cluster in the desired state.')
  for (const [name, text] of Object.entries({
    'resource-group': inputs.resourceGroup,
    'cluster-name': inputs.clusterName,
    'key-vault-network-access': inputs.keyVaultNetworkAccess,
    'key-vault-resource-id': inputs.keyVaultResourceId
  })) {
    forbidden(name, text, 'For `reconcile` the desired state says it.')
  }
  const desired = desiredCluster(parseDesiredState(inputs.desiredState), inputs.cluster)
  const { key, cluster } = desired
  if (key !== undefined && readKey(key.url, cloud.vaultSuffix) === 'other-cloud') {
    throw new ActionError(
      'key-id-other-cloud',
      `${desired.name}: ${CATALOG['key-id-other-cloud'].title} Its key is ${key.url}.`
    )
  }
  const { subscriptionId, resourceGroup } = cluster
  return { cluster, subscriptionId, resourceGroup, credential: parseCredential(inputs), desired }
}

function parseApproval({ expectedPlanHash, approvedPlan }: RawInputs): Request['approval'] {
  if (approvedPlan !== '') {
    if (approvedPlan !== 'comment') throw invalid('approved-plan', approvedPlan, '`comment`, or nothing')
    forbidden('expected-plan-hash', expectedPlanHash, 'The comment that `approved-plan` looks for has the hash.')
    return { kind: 'comment' }
  }
  if (expectedPlanHash === '') return undefined
  const hash = expectedPlanHash.toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(hash))
    throw invalid('expected-plan-hash', expectedPlanHash, 'the output `plan-hash` of a dry run, 64 hexadecimal digits')
  return { kind: 'hash', hash }
}

/** Each id says where its thing is, whatever AZURE_SUBSCRIPTION_ID says. */
function targetOfPreparation(inputs: RawInputs): RequestedTarget {
  const hint =
    '`prepare` works on no cluster: `key-vault-resource-id` and `identity-resource-id` say in which resource group each thing is.'
  forbidden('resource-group', inputs.resourceGroup, hint)
  forbidden('cluster-name', inputs.clusterName, hint)
  forbidden('kubeconfig', inputs.kubeconfig, hint)
  const { subscriptionId } = groupOf(inputs.keyVaultResourceId)
  return {
    cluster: undefined,
    subscriptionId,
    resourceGroup: undefined,
    credential: parseCredential(inputs),
    desired: undefined
  }
}

function parsePreparation(inputs: RawInputs, cloud: Cloud, networkAccess: NetworkAccess): WantedPreparation {
  const { keyVaultResourceId: vaultId, identityResourceId: identityId, keyName } = inputs
  required('key-vault-resource-id', vaultId, '`prepare` needs the ARM id of the vault that is there or is to be made.')
  required(
    'identity-resource-id',
    identityId,
    '`prepare` needs the ARM id of the identity that is there or is to be made.'
  )
  const vaultName = nameOf(vaultId)
  if (!/^[a-z](?!.*--)[a-z0-9-]{1,22}[a-z0-9]$/i.test(vaultName)) {
    throw invalid(
      'key-vault-resource-id',
      vaultId,
      'one with a vault name of 3 to 24 letters, digits and single hyphens'
    )
  }
  return {
    vaultId,
    vaultUrl: `https://${vaultName.toLowerCase()}.${cloud.vaultSuffix}`,
    keyName: parseName('key-name', keyName || 'etcd', /^[0-9A-Za-z-]{1,127}$/),
    keySize: parseKeySize(inputs.keySize || '3072'),
    rotationDays: parseRotationInterval(inputs.keyRotationInterval),
    identityId,
    networkAccess,
    location: inputs.location === '' ? undefined : plainLocation(parseLocation(inputs.location))
  }
}

function parseKeySize(text: string): WantedPreparation['keySize'] {
  const size = KEY_SIZES.find((bits) => String(bits) === text)
  if (size === undefined) throw invalid('key-size', text, KEY_SIZES.join(', '))
  return size
}

/** Key Vault counts in days, and makes no new version within the first week. */
function parseRotationInterval(text: string): number | undefined {
  if (text === '') return undefined
  const days = (parseAge(text) ?? 0) / (24 * 3_600_000)
  if (!Number.isInteger(days) || days < 7) {
    throw invalid('key-rotation-interval', text, 'a number of whole days from 7, such as 90d or 12w')
  }
  return days
}

function parseLocation(text: string): string {
  if (!/^[A-Za-z0-9 ]{2,40}$/.test(text)) throw invalid('location', text, 'a location of Azure, such as westeurope')
  return text
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
  }
  if (text === '') return undefined
  if (VAULT_ID.test(text)) return text
  throw invalid(
    'key-vault-resource-id',
    text,
    '/subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/<name>'
  )
}

function parseIdentityId(text: string): string | undefined {
  if (text === '') return undefined
  const form =
    /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[^/]+$/i
  if (form.test(text)) return text
  throw invalid(
    'identity-resource-id',
    text,
    '/subscriptions/…/resourceGroups/…/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>'
  )
}

function parseKubernetesVersion(text: string): string | undefined {
  if (text === '') return undefined
  if (!isVersion(text)) throw invalid('kubernetes-version', text, 'a version such as 1.27 or 1.27.9')
  if (compareVersions(text, `1.${String(FIRST_KMS_V2_MINOR)}`) < 0) {
    throw invalid('kubernetes-version', text, `at least 1.${String(FIRST_KMS_V2_MINOR)}, the first version with KMS v2`)
  }
  return text
}

function parseMaxAge(name: string, text: string): number | undefined {
  const age = parseAge(text)
  if (age === undefined && text !== '') throw invalid(name, text, 'a time such as 90d, 12w or 36h')
  return age
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
  if (!GUID.test(text)) throw invalid(name, text, 'a GUID')
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
