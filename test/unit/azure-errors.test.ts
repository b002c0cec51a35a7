import { describe, expect, test } from '@jest/globals'
import { operationToError, parseServiceError, refusalToError, withoutQueries } from '../../src/azure/errors.ts'
import { ActionError, CATALOG, ClusterChangedError, type Code } from '../../src/errors.ts'

const CLUSTER = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1'
const IDENTITY = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1'
const WHO = "The client 'c0ffee' with object id '0b1ec7'"

function refusal(status: number, code: string, message: string): ActionError {
  const error = refusalToError(
    { status, code, subcode: '', message },
    'update the cluster aks1',
    'cluster-update-rejected'
  )
  if (error instanceof ActionError) return error
  throw error
}

describe('parseServiceError', () => {
  test('reads AKS’s flat bodies', () => {
    expect(
      parseServiceError(404, { code: 'NotFound', details: null, message: 'm', subcode: 'S', target: 't' })
    ).toEqual({
      status: 404,
      code: 'NotFound',
      subcode: 'S',
      message: 'm'
    })
  })

  test('reads Resource Manager’s wrapped ones', () => {
    expect(parseServiceError(403, { error: { code: 'AuthorizationFailed', message: ' m\n' } })).toEqual({
      status: 403,
      code: 'AuthorizationFailed',
      subcode: '',
      message: 'm'
    })
  })

  test.each([undefined, null, '<html>', [], {}, { error: null }, { error: 'x' }, { code: 7 }])(
    'takes %j for what it is',
    (body) => {
      expect(parseServiceError(500, body)).toEqual({ status: 500, code: 'Unknown', subcode: '', message: '' })
    }
  )

  test('leaves out the queries of urls', () => {
    const url = 'https://management.azure.com/operations/1'
    expect(withoutQueries(`see ${url}?t=1&s=a%3D&h=x, or "${url}?c=y" (https://aka.ms/z).`)).toBe(
      `see ${url} or "${url}" (https://aka.ms/z).`
    )
  })
})

describe('a missing permission', () => {
  test.each([
    ['Microsoft.ContainerService/managedClusters/write', 'Azure Kubernetes Service Contributor Role'],
    [
      'Microsoft.ContainerService/managedClusters/listClusterUserCredential/action',
      'Azure Kubernetes Service Cluster User Role'
    ],
    ['Microsoft.ContainerService/managedClusters/upgradeprofiles/read', 'Reader']
  ])('%s: %s', (action, role) => {
    const error = refusal(
      403,
      'AuthorizationFailed',
      `${WHO} does not have authorization to perform action '${action}' over scope '${CLUSTER}' or the scope is invalid. If access was recently granted, please refresh your credentials.`
    )
    expect(error.code).toBe('authorization-failed')
    expect(error.message).toContain(`the identity 0b1ec7 may not ${action} on ${CLUSTER}`)
    expect(error.fix).toContain(
      `--assignee-object-id 0b1ec7 --assignee-principal-type ServicePrincipal --role "${role}" --scope ${CLUSTER}`
    )
  })

  test('on a resource that the cluster refers to', () => {
    const error = refusal(
      403,
      'LinkedAuthorizationFailed',
      `${WHO} has permission to perform action 'Microsoft.ContainerService/managedClusters/write' on scope '${CLUSTER}'; however, it does not have permission to perform action(s) 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '${IDENTITY}' (respectively) or the linked scope(s) are invalid.`
    )
    expect(error.code).toBe('linked-authorization-failed')
    expect(error.message).toContain(
      `may not Microsoft.ManagedIdentity/userAssignedIdentities/assign/action on ${IDENTITY}`
    )
    expect(error.fix).toContain(`--role "Managed Identity Operator" --scope ${IDENTITY}`)
  })

  test('for an action that is not known keeps the catalogue’s fix', () => {
    const error = refusal(403, 'AuthorizationFailed', `${WHO} … to perform action 'Some.Thing/read' over scope '/x'`)
    expect(error.message).toContain('may not Some.Thing/read on /x')
    expect(error.fix).toContain('docs/permissions.md')
  })

  test('in words that are not known is quoted', () => {
    expect(refusal(403, 'AuthorizationFailed', 'no way').message).toContain('AuthorizationFailed (403): no way.')
  })
})

/** What AKS is known to say, with the words of its meaning and of the next command. Source of the messages: reference/azure.md, 3.4 and 3.5. */
const KNOWN: readonly (readonly [code: string, message: string, meaning: RegExp, fix: RegExp])[] = [
  [
    'BadRequest',
    'KeyVault network access is unspecified for Azure Key Vault KMS.',
    /how it reaches/,
    /`key-vault-network-access`/
  ],
  [
    'BadRequest',
    'KeyVault resource ID is empty when KeyVault network access is Private.',
    /resource id/,
    /az keyvault show/
  ],
  [
    'BadRequest',
    'Vnet integration should be enabled when KeyVault network access is Private.',
    /VNet Integration/,
    /--enable-apiserver-vnet-integration/
  ],
  [
    'OperationNotAllowed',
    'For KMS the upgrade to cluster version 1.27 or later is blocked.',
    /KMS v1 must be off/,
    /`migrate-v2`/
  ],
  ['InternalOperationError', 'Internal server error', /Public and Private in place/, /./],
  [
    'InternalOperationError',
    "KeyExpired: Operation encrypt isn't allowed on an expired key",
    /has expired/,
    /--expires/
  ],
  ['BadRequest', 'Operation encrypt is not allowed on a disabled key.', /is disabled/, /--enabled true/],
  [
    'BadRequest',
    'KeyNotFound: A key with (name/id) etcd/1 was not found in this key vault.',
    /not in the vault/,
    /az keyvault key recover/
  ],
  [
    'BadRequest',
    'Public network access is disabled and request is not from a trusted service nor via an approved private link.',
    /network rules/,
    /networkAcls/
  ],
  [
    'BadRequest',
    'ForbiddenByRbac: Caller is not authorized to perform action on resource.',
    /may not encrypt/,
    /Key Vault Crypto User/
  ],
  [
    'K8sVersionNotSupported',
    'aks1 is on version 1.25.6 which is not supported in this region.',
    /no longer supports/,
    /az aks get-versions/
  ],
  [
    'OperationNotAllowed',
    'Upgrading Kubernetes version 1.24.9 to 1.26.6 is not allowed. Available upgrades: [1.25.6].',
    /other versions/,
    /az aks get-upgrades/
  ],
  [
    'NodePoolMcVersionIncompatible',
    'Node pool version 1.20.9 and control plane version 1.23.12 are incompatible.',
    /too far behind/,
    /az aks nodepool upgrade/
  ],
  [
    'UpgradeFailed',
    "Drain of node aks-work-1 failed: Cannot evict pod as it would violate the pod's disruption budget.",
    /could not be emptied/,
    /kubectl get pdb/
  ],
  ['QuotaExceeded', 'Provisioning of resource(s) failed.', /quota/, /az vm list-usage/],
  [
    'OperationNotAllowed',
    'Operation could not be completed as it results in exceeding approved Total Regional Cores quota.',
    /quota/,
    /az vm list-usage/
  ],
  ['FailedIdentityOperation', 'Identity operation for resource aks1 failed.', /could not attach/, /az identity show/],
  [
    'MissingSubscriptionRegistration',
    "The subscription is not registered to use namespace 'Microsoft.KeyVault'.",
    /not made use of/,
    /az provider register/
  ],
  ['RequestDisallowedByPolicy', 'Resource was disallowed by policy.', /Azure Policy/, /az policy assignment list/],
  [
    'ScopeLocked',
    'The scope cannot perform write operation because following scope(s) are locked',
    /resource lock/,
    /az lock list/
  ],
  [
    'ReadOnlyDisabledSubscription',
    'The subscription is disabled and marked as read only.',
    /is disabled/,
    /az account show/
  ]
]

describe.each(KNOWN)('%s: %s', (code, message, meaning, fix) => {
  test('refused: what it means, and the next command', () => {
    const error = refusal(400, code, message)
    expect(error).toMatchObject({ code: 'cluster-update-rejected', fix: expect.stringMatching(fix) })
    expect(error.message).toMatch(/^Could not update the cluster aks1: /)
    expect(error.message.slice(error.message.indexOf(message) + message.length)).toMatch(meaning)
  })

  test('failed: the same', () => {
    const error = operationToError({ status: 200, code, subcode: '', message }, 'Failed', 'update')
    expect(error).toMatchObject({ code: 'cluster-update-failed', fix: expect.stringMatching(fix) })
    expect(error.message).toMatch(/^The update of the cluster ended as Failed: /)
    expect(error.message.slice(error.message.indexOf(message) + message.length)).toMatch(meaning)
  })
})

test.each<[string, string, Code]>([
  [
    'AzureKeyVaultKmsValidateIdentityPermissionCustomerError',
    'The identity does not have keys encrypt/decrypt permission on key vault "https://kv.vault.azure.net"',
    'key-permission-missing'
  ],
  [
    'BadRequest',
    "AzureKeyVaultKms feature does not support cluster identity type SystemAssigned, supported value is 'UserAssigned'",
    'identity-not-user-assigned'
  ],
  [
    'BadRequest',
    "Getting static credential isn't allowed because this cluster is set to disable local accounts.",
    'local-accounts-disabled'
  ]
])('%s: %s has a code of its own', (code, message, expected) => {
  expect(refusal(400, code, message)).toMatchObject({
    code: expected,
    message: expect.stringContaining(message),
    fix: CATALOG[expected].fix
  })
})

test('a refusal in words that are not known is quoted, with the catalogue’s fix', () => {
  const message = 'Results in something else.'
  expect(refusal(409, 'OperationNotAllowed', message)).toMatchObject({
    message: `Could not update the cluster aks1: OperationNotAllowed (409): ${message}`,
    fix: CATALOG['cluster-update-rejected'].fix
  })
})

test.each([
  [409, 'EtagMismatch', 'Operation is not allowed: Another operation is in progress'],
  [409, 'OperationNotAllowed', 'Another operation (nodepool1 - Updating) is in progress, please wait'],
  [412, 'PreconditionFailed', 'x']
])('%i %s: somebody else was quicker', (status, code, message) => {
  expect(refusalToError({ status, code, subcode: '', message }, 'update', 'cluster-update-rejected')).toBeInstanceOf(
    ClusterChangedError
  )
})

test.each([
  ['OriginalEtagNotExpect', 'x'],
  ['ResourceOperationFailure', 'This operation has been preempted by another one.']
])('an operation that ends as %s gave way to another one', (code, message) => {
  expect(operationToError({ status: 200, code, subcode: '', message }, 'Failed', 'update')).toBeInstanceOf(
    ClusterChangedError
  )
})

test.each([
  [404, 'ResourceNotFound', 'cluster-not-found'],
  [401, 'ExpiredAuthenticationToken', 'sign-in-failed'],
  [429, 'FailedIdentityOperation', 'azure-unavailable'],
  [500, 'InternalServerError', 'azure-unavailable'],
  [0, 'ECONNRESET', 'azure-unavailable']
])('%i %s: %s', (status, code, expected) => {
  expect(refusal(status, code, 'x').code).toBe(expected)
})

test('a failed operation is no refusal, whatever its code', () => {
  const error = operationToError(
    { status: 200, code: 'AuthorizationFailed', subcode: '', message: 'x' },
    'Failed',
    'update'
  )
  expect(error).toMatchObject({ code: 'cluster-update-failed' })
})
