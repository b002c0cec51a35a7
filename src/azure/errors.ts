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
  if (status === 0 || isTransientStatus(status)) return withMeaning('azure-unavailable', said, error)
  if (code === 'InvalidAuthenticationTokenTenant') return new ActionError('tenant-mismatch', said)
  if (status === 401) return new ActionError('sign-in-failed', said)
  if (code === 'SubscriptionNotFound' || code === 'InvalidSubscriptionId')
    return new ActionError('subscription-not-found', said)
  if (code === 'LinkedAuthorizationFailed') return linkedAuthorizationFailed(error, attempt)
  if (code === 'AuthorizationFailed') return authorizationFailed(error, attempt)
  if (code === 'ResourceGroupNotFound') return new ActionError('resource-group-not-found', said)
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
  return withMeaning(otherwise, said, error)
}

export type ClusterChange = 'creation' | 'update'

const FAILED: Readonly<Record<ClusterChange, Code>> = {
  creation: 'cluster-creation-failed',
  update: 'cluster-update-failed'
}

/** The failure of a change that AKS accepted, began and did not finish. */
export function operationToError(
  error: ServiceError,
  status: string,
  change: ClusterChange
): ActionError | ClusterChangedError {
  const said = `The ${change} of the cluster ended as ${status}: ${quote(error)}`
  if (isConcurrentChange(error)) return new ClusterChangedError(said)
  return withMeaning(FAILED[change], said, error)
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

/** What a terse message of Azure's means here, and the next command, by words in its code or text. The first that fits counts. */
interface Meaning {
  readonly words: RegExp
  readonly meaning: string
  /** In place of the one that the catalogue has for the code. */
  readonly fix?: string
}

const MEANINGS: readonly Meaning[] = [
  // The KMS profile
  {
    words: /network access is unspecified/i,
    meaning: 'AKS wants to be told how it reaches the vault.',
    fix: 'Set `key-vault-network-access` to Public or Private, then run this again.'
  },
  {
    words: /resource ID is empty when/i,
    meaning: 'A private vault is attached by its resource id.',
    fix: 'Set `key-vault-resource-id` to what `az keyvault show -n <vault> --query id -o tsv` says, then run this again.'
  },
  {
    words: /vnet integration should be enabled/i,
    meaning: 'A private vault needs API Server VNet Integration on the cluster.',
    fix: 'Turn it on, which is permanent: `az aks update -g <resource group> -n <cluster> --enable-apiserver-vnet-integration`, and at once `az aks stop` and `az aks start`. Or let AKS reach the vault in public.'
  },
  {
    words: /upgrade to cluster version 1\.27 or later is blocked|migrate to KMS v2/i,
    meaning: 'KMS v1 must be off while a cluster is upgraded to 1.27 or later.',
    fix: 'Use the operation `migrate-v2`, which does the whole way.'
  },

  // The key, as Key Vault says it to AKS
  {
    words: /KeyExpired|expired key/i,
    meaning: 'The key version has expired, and encrypts no more.',
    fix: 'Extend it: `az keyvault key set-attributes --id <key id> --expires <UTC time>`, then run this again.'
  },
  {
    words: /KeyDisabled|disabled key/i,
    meaning: 'The key version is disabled.',
    fix: 'Enable it: `az keyvault key set-attributes --id <key id> --enabled true`, then run this again.'
  },
  {
    words: /KeyNotFound|ObjectIsDeletedButRecoverable|not found in this key vault/i,
    meaning: 'The key or its version is not in the vault any more.',
    fix: 'Recover it: `az keyvault key recover --vault-name <vault> --name <key>`, then run this again.'
  },
  {
    words: /ForbiddenByFirewall|ForbiddenByConnection|not an approved private link|public network access is disabled/i,
    meaning: 'The vault’s network rules keep AKS out.',
    fix: 'Look at them: `az keyvault show -n <vault> --query properties.networkAcls`. With `Public` AKS needs a vault that admits all networks, with `Private` an approved private endpoint.'
  },
  {
    words: /ForbiddenByRbac|does not have keys (en|de)crypt/i,
    meaning: 'The cluster’s identity may not encrypt and decrypt with the key.',
    fix: 'Give it the role: `az role assignment create --assignee <client id of the identity> --role "Key Vault Crypto User" --scope <id of the key>`; in some minutes run this again.'
  },
  {
    words: /InternalOperationError/,
    meaning:
      'AKS is known to answer so when an attached vault changes between Public and Private in place: the operation `change-vault-mode` goes the way that works. `az aks operation show-latest -g <resource group> -n <cluster>` may say more.'
  },

  // Upgrades
  {
    words: /K8sVersionNotSupported/,
    meaning: 'AKS no longer supports the cluster’s Kubernetes version there.',
    fix: 'See what it supports: `az aks get-versions -l <location> -o table`.'
  },
  {
    words: /(up|down)grading Kubernetes version .* is not allowed/i,
    meaning: 'AKS offers other versions from here.',
    fix: 'Choose one of `az aks get-upgrades -g <resource group> -n <cluster> -o table`.'
  },
  {
    words: /NodePoolMcVersionIncompatible/,
    meaning: 'A node pool would be ahead of the control plane, or too far behind it.',
    fix: 'Compare them: `az aks nodepool list -g <resource group> --cluster-name <cluster> -o table`, and bring it along with `az aks nodepool upgrade`.'
  },
  {
    words: /PodDrainFailure|PodDisruptionBudget|\bdrain/i,
    meaning: 'A node could not be emptied, mostly because a PodDisruptionBudget permits no eviction.',
    fix: 'Find it with `kubectl get pdb --all-namespaces`, make room, then run this again.'
  },
  {
    words: /QuotaExceeded|exceed\w* (the )?(approved )?.*quota/i,
    meaning: 'The subscription’s quota leaves no room for the nodes that an upgrade needs on top.',
    fix: 'Look at `az vm list-usage -l <location> -o table`, and have it raised; then run this again.'
  },

  // Any update
  {
    words: /FailedIdentityOperation/,
    meaning: 'Azure could not attach the cluster’s identity.',
    fix: 'Check that it is there: `az identity show --ids <id of the identity>`.'
  },
  {
    words: /RequestDisallowedByPolicy/,
    meaning: 'An Azure Policy assignment denies it as it is: exempt it, or mend what the policy names.',
    fix: 'See `az policy assignment list --scope <id of it> --disable-scope-strict-match -o table`.'
  },
  {
    words: /MissingSubscriptionRegistration/,
    meaning: 'The subscription has not made use of this service before.',
    fix: 'Register it: `az provider register --wait --namespace <Microsoft.KeyVault, or what the message names>`, then run this again.'
  },
  {
    words: /ScopeLocked/,
    meaning: 'A resource lock forbids writing here.',
    fix: 'See `az lock list --resource-group <resource group> -o table`.'
  },
  {
    words: /ReadOnlyDisabledSubscription/,
    meaning: 'The subscription is disabled, so that nothing in it can be changed.',
    fix: 'See `az account show --subscription <id> --query state`; its owner can enable it.'
  }
]

function withMeaning(code: Code, said: string, error: ServiceError): ActionError {
  const known = MEANINGS.find(({ words }) => words.test(error.code) || words.test(error.message))
  if (known === undefined) return new ActionError(code, said)
  return new ActionError(code, `${said} ${known.meaning}`, known.fix === undefined ? {} : { fix: known.fix })
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
  'microsoft.managedidentity/userassignedidentities/read': 'Managed Identity Contributor',
  'microsoft.managedidentity/userassignedidentities/write': 'Managed Identity Contributor',
  'microsoft.keyvault/vaults/read': 'Key Vault Reader',
  'microsoft.keyvault/vaults/write': 'Key Vault Contributor',
  'microsoft.keyvault/vaults/accesspolicies/write': 'Key Vault Contributor',
  'microsoft.keyvault/vaults/keys/read': 'Key Vault Reader',
  'microsoft.keyvault/vaults/keys/write': 'Key Vault Contributor',
  'microsoft.authorization/roleassignments/write': 'Role Based Access Control Administrator',
  'microsoft.resources/subscriptions/resourcegroups/read': 'Reader',
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
  const place = grantableScope(action, scope)
  return new ActionError(
    code,
    `Could not ${attempt}: the identity ${principal} may not ${action} on ${scope}. A role that was given in the last minutes may not have spread yet.`,
    role === undefined
      ? {}
      : {
          fix: `Grant the role: \`az role assignment create --assignee-object-id ${principal} --assignee-principal-type ServicePrincipal --role "${role}" --scope ${place}\`.`
        }
  )
}

/** Where a role can be given: an assignment is no place for one, and what is yet to be made neither. */
function grantableScope(action: string, scope: string): string {
  const mayBeMissing = /\/(vaults\/write|userAssignedIdentities\/(read|write))$/i.test(action)
  const group = mayBeMissing ? /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+/i.exec(scope)?.[0] : undefined
  return group ?? scope.replace(/\/providers\/Microsoft\.Authorization\/.*$/i, '')
}
