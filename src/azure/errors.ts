import { ActionError, ClusterChangedError, type Code } from '../errors.ts'
import { isJsonObject } from '../model/json.ts'
import { isTransientStatus } from './retry-policy.ts'

/** What Azure said when it refused. */
export interface ServiceError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  readonly code: string
  readonly subcode: string
  /** Without the query parts of urls, which may be signatures. */
  readonly message: string
}

/** Reads AKS's flat bodies, `{code, message, details, subcode, target}`, and Resource Manager's, `{error: {code, message}}`. */
export function parseServiceError(status: number, body: unknown): ServiceError {
  const outer = isJsonObject(body) ? body : {}
  const error = isJsonObject(outer['error']) ? outer['error'] : outer
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  const code = text(error['code'])
  return {
    status,
    code: code === '' ? 'Unknown' : code,
    subcode: text(error['subcode']),
    message: withoutQueries(text(error['message'])).trim()
  }
}

export function withoutQueries(text: string): string {
  return text.replace(/(https?:\/\/[^\s?"'<>]+)\?[^\s"'<>]*/g, '$1')
}

/**
 * The failure that a refusal means. `attempt` completes “Could not …”, such as `update the cluster aks1`; `otherwise` is the code of a
 * refusal that is not known better.
 */
export function refusalToError(
  error: ServiceError,
  attempt: string,
  otherwise: Code
): ActionError | ClusterChangedError {
  const { status, code } = error
  const said = `Could not ${attempt}: ${quote(error)}`
  if (isConcurrentChange(error)) return new ClusterChangedError(said)
  if (status === 0 || isTransientStatus(status)) return new ActionError('azure-unavailable', withMeaning(said, error))
  if (code === 'InvalidAuthenticationTokenTenant') return new ActionError('tenant-mismatch', said)
  if (status === 401) return new ActionError('sign-in-failed', said)
  if (code === 'SubscriptionNotFound' || code === 'InvalidSubscriptionId')
    return new ActionError('subscription-not-found', said)
  if (code === 'LinkedAuthorizationFailed') return linkedAuthorizationFailed(error, attempt)
  if (code === 'AuthorizationFailed') return authorizationFailed(error, attempt)
  if (status === 404) return new ActionError('cluster-not-found', said)
  if (/static credential isn.t allowed/i.test(error.message)) return new ActionError('local-accounts-disabled', said)
  if (code === 'AzureKeyVaultKmsValidateIdentityPermissionCustomerError') {
    return new ActionError(
      'key-permission-missing',
      `${said} AKS says the same of a key that is not RSA or does not permit encrypt and decrypt, of a vault whose firewall keeps AKS out, and of a role that has not spread yet.`
    )
  }
  if (/does not support cluster identity type/i.test(error.message)) {
    return new ActionError('identity-not-user-assigned', said)
  }
  return new ActionError(otherwise, withMeaning(said, error))
}

/** The failure of an update that AKS accepted, began and did not finish. */
export function operationToError(error: ServiceError, status: string): ActionError | ClusterChangedError {
  const said = `The update of the cluster ended as ${status}: ${quote(error)}`
  if (isConcurrentChange(error)) return new ClusterChangedError(said)
  return new ActionError('cluster-update-failed', withMeaning(said, error))
}

/** `BadRequest (400): <message>.` */
function quote({ status, code, subcode, message }: ServiceError): string {
  const details = [...(status === 0 ? [] : [String(status)]), ...(subcode === '' ? [] : [subcode])]
  const name = details.length === 0 ? code : `${code} (${details.join(', ')})`
  return message === '' ? `${name}.` : `${name}: ${message.replace(/\.?$/, '.')}`
}

function isConcurrentChange({ status, code, message }: ServiceError): boolean {
  return (
    status === 412 ||
    code === 'EtagMismatch' ||
    code === 'OriginalEtagNotExpect' ||
    /another operation .*(in progress|is pending)|has been preempted by/i.test(message)
  )
}

/** What AKS's terse messages on KMS mean, by the words that they contain. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [
    /network access is unspecified/i,
    'AKS wants to be told how it reaches the vault: set `key-vault-network-access` to Public or Private.'
  ],
  [/resource ID is empty when/i, 'A private vault is attached by its resource id: set `key-vault-resource-id`.'],
  [
    /vnet integration should be enabled/i,
    'A private vault needs API Server VNet Integration on the cluster. Turning it on is permanent and needs the cluster to be stopped and started: `az aks update --enable-apiserver-vnet-integration`.'
  ],
  [
    /InternalOperationError/,
    'AKS is known to answer so when an attached vault changes between Public and Private in place: turn KMS off, change the vault, turn it on.'
  ],
  [
    /upgrade to cluster version 1\.27 or later is blocked/i,
    'KMS v1 must be off while a cluster is upgraded to 1.27 or later: the operation `migrate-v2` does the whole way.'
  ],
  [
    /RequestDisallowedByPolicy/,
    'An Azure Policy assignment denies the cluster as it is: exempt it, or mend what the policy names.'
  ],
  [/ScopeLocked/, 'A resource lock forbids writing to the cluster: `az lock list --resource-group <resource group>`.'],
  [/ReadOnlyDisabledSubscription/, 'The subscription is disabled, so that nothing in it can be changed.']
]

function withMeaning(said: string, error: ServiceError): string {
  const meaning = MEANINGS.find(([words]) => words.test(error.code) || words.test(error.message))?.[1]
  return meaning === undefined ? said : `${said} ${meaning}`
}

/** Least roles by the action that was refused, in lower case. */
const ROLES: Readonly<Record<string, string>> = {
  'microsoft.containerservice/managedclusters/read': 'Azure Kubernetes Service Contributor Role',
  'microsoft.containerservice/managedclusters/write': 'Azure Kubernetes Service Contributor Role',
  'microsoft.containerservice/managedclusters/upgradeprofiles/read': 'Reader',
  'microsoft.containerservice/managedclusters/listclusterusercredential/action':
    'Azure Kubernetes Service Cluster User Role',
  'microsoft.containerservice/managedclusters/listclusteradmincredential/action':
    'Azure Kubernetes Service Cluster Admin Role',
  'microsoft.managedidentity/userassignedidentities/assign/action': 'Managed Identity Operator',
  'microsoft.network/virtualnetworks/subnets/join/action': 'Network Contributor',
  'microsoft.operationalinsights/workspaces/sharedkeys/read': 'Log Analytics Contributor',
  'microsoft.operationalinsights/workspaces/sharedkeys/action': 'Log Analytics Contributor'
}

function authorizationFailed(error: ServiceError, attempt: string): ActionError {
  const action = /perform action '([^']+)'/i.exec(error.message)?.[1]
  const scope = /over scope '([^']+)'/i.exec(error.message)?.[1]
  return missingPermission('authorization-failed', error, attempt, action, scope)
}

function linkedAuthorizationFailed(error: ServiceError, attempt: string): ActionError {
  const action = /perform action\(?s?\)? '([^']+)' on the linked/i.exec(error.message)?.[1]
  const scope = /linked scope\(?s?\)? '([^']+)'/i.exec(error.message)?.[1]
  return missingPermission('linked-authorization-failed', error, attempt, action, scope)
}

function missingPermission(
  code: 'authorization-failed' | 'linked-authorization-failed',
  error: ServiceError,
  attempt: string,
  action: string | undefined,
  scope: string | undefined
): ActionError {
  if (action === undefined || scope === undefined) return new ActionError(code, `Could not ${attempt}: ${quote(error)}`)
  const principal = /object id '([^']+)'/i.exec(error.message)?.[1] ?? '<object id of the identity>'
  const role = ROLES[action.toLowerCase()]
  return new ActionError(
    code,
    `Could not ${attempt}: the identity ${principal} may not ${action} on ${scope}. A role that was given in the last minutes may not have spread yet.`,
    role === undefined
      ? {}
      : {
          fix: `Grant the role: \`az role assignment create --assignee-object-id ${principal} --assignee-principal-type ServicePrincipal --role "${role}" --scope ${scope}\`.`
        }
  )
}
