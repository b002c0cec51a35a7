import { describe, expect, test } from '@jest/globals'
import { grantedAt, permits, type Grant, type RolePermissions } from '../../src/model/permissions.ts'

const VAULT = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv'
const ASSIGN = { action: 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' }
const ENCRYPT = { dataAction: 'Microsoft.KeyVault/vaults/keys/encrypt/action' }

function role(permissions: Partial<RolePermissions>): RolePermissions {
  return { actions: [], notActions: [], dataActions: [], notDataActions: [], ...permissions }
}

describe('what a role permits', () => {
  test.each<[string, Partial<RolePermissions>, boolean]>([
    ['the action itself, whatever its case', { actions: [ASSIGN.action.toUpperCase()] }, true],
    ['everything', { actions: ['*'] }, true],
    ['everything of a provider', { actions: ['Microsoft.ManagedIdentity/*'] }, true],
    ['actions only', { actions: ['*/action'] }, true],
    [
      'Managed Identity Operator',
      { actions: ['Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action'] },
      true
    ],
    ['reads only', { actions: ['*/read'] }, false],
    ['another provider', { actions: ['Microsoft.Managed.dentity/*', 'Microsoft.KeyVault/*'] }, false],
    ['a longer action', { actions: [`${ASSIGN.action}/more`] }, false],
    ['everything but this', { actions: ['*'], notActions: ['Microsoft.ManagedIdentity/*/action'] }, false],
    ['everything in the data only', { dataActions: ['*'] }, false]
  ])('%s', (_name, permissions, expected) => {
    expect(permits([role(permissions)], ASSIGN)).toBe(expected)
  })

  test('in the data', () => {
    expect(permits([role({ dataActions: ['Microsoft.KeyVault/vaults/keys/*'] })], ENCRYPT)).toBe(true)
    expect(permits([role({ actions: ['*'] })], ENCRYPT)).toBe(false)
    expect(permits([role({ dataActions: ['*'], notDataActions: ['*/encrypt/action'] })], ENCRYPT)).toBe(false)
  })

  test('is what any of several does: an exception holds for its own role only', () => {
    const roles = [role({ dataActions: ['*'], notDataActions: ['*'] }), role({ dataActions: [ENCRYPT.dataAction] })]
    expect(permits(roles, ENCRYPT)).toBe(true)
  })
})

describe('what is granted at a scope', () => {
  const grant = (scope: string, conditional = false): Grant => ({
    scope,
    conditional,
    createdAt: undefined,
    permissions: [role({ dataActions: [ENCRYPT.dataAction] })]
  })

  test.each([
    ['there', VAULT, 'granted'],
    ['above', '/subscriptions/S/resourcegroups/RG', 'granted'],
    ['at the root', '/', 'granted'],
    ['below', `${VAULT}/keys/etcd`, 'missing'],
    ['at a vault whose name begins alike', VAULT.slice(0, -1), 'missing']
  ])('%s', (_name, scope, expected) => {
    expect(grantedAt([grant(scope)], VAULT, ENCRYPT)).toBe(expected)
  })

  test('under a condition is not known', () => {
    expect(grantedAt([grant(VAULT, true)], VAULT, ENCRYPT)).toBe('unknown')
    expect(grantedAt([grant(VAULT, true), grant('/subscriptions/s')], VAULT, ENCRYPT)).toBe('granted')
  })
})
