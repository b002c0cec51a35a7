import { describe, expect, test } from '@jest/globals'
import { operationToError, parseServiceError, refusalToError, withoutQueries } from '../../src/azure/errors.ts'
import { ActionError } from '../../src/errors.ts'

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

test.each([
  [
    400,
    'BadRequest',
    'KeyVault resource ID is empty when KeyVault network access is Private.',
    /`key-vault-resource-id`/
  ],
  [
    409,
    'ScopeLocked',
    'The scope cannot perform write operation because following scope(s) are locked',
    /az lock list/
  ],
  [403, 'RequestDisallowedByPolicy', 'Resource was disallowed by policy.', /Azure Policy/],
  [
    409,
    'OperationNotAllowed',
    'Results in exceeding approved quota.',
    /^Could not update the cluster aks1: OperationNotAllowed \(409\): Results in exceeding approved quota\.$/
  ]
])('%i %s is a rejected update that says what it means', (status, code, message, words) => {
  expect(refusal(status, code, message)).toMatchObject({
    code: 'cluster-update-rejected',
    message: expect.stringMatching(words)
  })
})

test.each([
  [404, 'ResourceNotFound', 'cluster-not-found'],
  [401, 'ExpiredAuthenticationToken', 'sign-in-failed'],
  [500, 'InternalServerError', 'azure-unavailable'],
  [0, 'ECONNRESET', 'azure-unavailable']
])('%i %s: %s', (status, code, expected) => {
  expect(refusal(status, code, 'x').code).toBe(expected)
})

test('a failed operation is no refusal, whatever its code', () => {
  const error = operationToError({ status: 200, code: 'AuthorizationFailed', subcode: '', message: 'x' }, 'Failed')
  expect(error).toMatchObject({ code: 'cluster-update-failed' })
})
