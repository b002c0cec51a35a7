import { describe, expect, test } from '@jest/globals'
import { createAuthorization } from '../../src/azure/authorization.ts'
import { createResourceManager } from '../../src/azure/resource-manager.ts'
import { RestError } from '@azure/core-rest-pipeline'
import {
  fakeCredential,
  fakePause,
  fakeWire,
  fakeWireOf,
  PUBLIC_CLOUD,
  rejection,
  type Answer,
  type FakeWire
} from './azure-fakes.ts'

const KEY = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv/keys/etcd'
const WHO = '00000000-0000-0000-0000-00000000000a'
const [CRYPTO_USER, CONTRIBUTOR] = ['12338af0-0e69-4776-bea7-57ae8d297424', 'f25e0fa2-a7c8-4377-a976-54943a77a395']
const CREATED = '2026-11-22T03:04:05.678Z'
const FORBIDDEN: Answer = { status: 403, body: { error: { code: 'AuthorizationFailed', message: 'No.' } } }

function authorization(wire: FakeWire) {
  const { pause } = fakePause()
  return createAuthorization(createResourceManager(fakeCredential, PUBLIC_CLOUD, 's', { httpClient: wire, pause }))
}

function assignment(role: string, scope: string, condition: string | null = null) {
  return {
    properties: {
      roleDefinitionId: `/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/${role}`,
      scope,
      createdOn: CREATED,
      condition
    }
  }
}

function definition(actions: readonly string[], dataActions: readonly string[]): Answer {
  return { status: 200, body: { properties: { permissions: [{ actions, notActions: [], dataActions }] } } }
}

describe('the roles of a principal', () => {
  test('are read with what they permit, each role once, page by page', async () => {
    const wire = fakeWire(({ url }) => {
      if (url.includes(CRYPTO_USER)) return definition([], ['Microsoft.KeyVault/vaults/keys/encrypt/action'])
      if (url.includes(CONTRIBUTOR)) return definition(['Microsoft.KeyVault/*'], [])
      if (url.includes('skipToken'))
        return { status: 200, body: { value: [assignment(CRYPTO_USER, '/subscriptions/s', '@Resource')] } }
      const nextLink = `https://management.azure.com${KEY}/providers/Microsoft.Authorization/roleAssignments?skipToken=2`
      const value = [assignment(CRYPTO_USER, KEY), assignment(CONTRIBUTOR, '/subscriptions/s/resourceGroups/rg')]
      return { status: 200, body: { value, nextLink } }
    })
    const user = [
      {
        actions: [],
        notActions: [],
        dataActions: ['Microsoft.KeyVault/vaults/keys/encrypt/action'],
        notDataActions: []
      }
    ]
    expect(await authorization(wire).grantsOf(WHO, KEY)).toEqual([
      { scope: KEY, conditional: false, createdAt: Date.parse(CREATED), permissions: user },
      {
        scope: '/subscriptions/s/resourceGroups/rg',
        conditional: false,
        createdAt: Date.parse(CREATED),
        permissions: [{ actions: ['Microsoft.KeyVault/*'], notActions: [], dataActions: [], notDataActions: [] }]
      },
      { scope: '/subscriptions/s', conditional: true, createdAt: Date.parse(CREATED), permissions: user }
    ])
    const [list] = wire.sent
    expect(new URL(list?.url ?? '').searchParams.get('$filter')).toBe(`atScope() and assignedTo('${WHO}')`)
    // Of the role at the key, where whoever may read the assignments may read it.
    expect(
      wire.sent.filter(({ url }) => url.includes(`${KEY}/providers/Microsoft.Authorization/roleDefinitions/`))
    ).toHaveLength(2)
  })

  test('are unknown where they, or one of the roles, may not be read', async () => {
    expect(await authorization(fakeWire(() => FORBIDDEN)).grantsOf(WHO, KEY)).toBeUndefined()
    const halfway = fakeWire(({ url }) =>
      url.includes('roleDefinitions') ? FORBIDDEN : { status: 200, body: { value: [assignment(CRYPTO_USER, KEY)] } }
    )
    expect(await authorization(halfway).grantsOf(WHO, KEY)).toBeUndefined()
  })

  test('are not taken for unknown where Azure does not answer', async () => {
    const wire = fakeWire(() => ({ status: 503, body: { error: { code: 'ServerBusy', message: 'Busy.' } } }))
    expect(await rejection(authorization(wire).grantsOf(WHO, KEY))).toMatchObject({ code: 'azure-unavailable' })
  })
})

describe('a role', () => {
  const role = { principalId: WHO, roleId: CRYPTO_USER, scope: KEY }
  const namesOf = (wire: FakeWire): readonly string[] =>
    wire.sent.map(({ url }) => new URL(url).pathname.split('/').at(-1) ?? '')

  test('is assigned under a name that is the same for the same, a GUID', async () => {
    const wire = fakeWireOf({ status: 201, body: {} })
    expect(await authorization(wire).assignRole(role)).toBe('made')
    await authorization(wire).assignRole({ ...role, scope: KEY.toUpperCase() })
    await authorization(wire).assignRole({ ...role, roleId: CONTRIBUTOR })
    const [first, again, other] = namesOf(wire)
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(again).toBe(first)
    expect(other).not.toBe(first)
    expect(JSON.parse(wire.sent[0]?.text ?? '')).toEqual({
      properties: {
        roleDefinitionId: `/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/${CRYPTO_USER}`,
        principalId: WHO,
        principalType: 'ServicePrincipal'
      }
    })
  })

  test('that somebody else has assigned under another name was there', async () => {
    const exists = { error: { code: 'RoleAssignmentExists', message: 'The role assignment already exists.' } }
    expect(await authorization(fakeWireOf({ status: 409, body: exists })).assignRole(role)).toBe('was-there')
  })

  test('is asked for again where the answer got lost', async () => {
    const wire = fakeWireOf(new RestError('reset', { code: 'ECONNRESET' }), { status: 200, body: {} })
    expect(await authorization(wire).assignRole(role)).toBe('made')
    expect(new Set(namesOf(wire)).size).toBe(1)
  }, 10_000)

  test('that may not be given says which role permits it, and where to give that', async () => {
    const message = `The client 'x' with object id '${WHO}' does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/write' over scope '${KEY}/providers/Microsoft.Authorization/roleAssignments/0' or the scope is invalid.`
    const wire = fakeWireOf({ status: 403, body: { error: { code: 'AuthorizationFailed', message } } })
    expect(await rejection(authorization(wire).assignRole(role))).toMatchObject({
      code: 'authorization-failed',
      fix: expect.stringContaining(`--role "Role Based Access Control Administrator" --scope ${KEY}\``)
    })
  })
})

test('of an identity that the directory does not know yet its own roles are asked for', async () => {
  const unknown: Answer = { status: 400, body: { error: { code: 'PrincipalNotFound', message: 'Not found.' } } }
  const wire = fakeWire(({ url }) => (url.includes('assignedTo') ? unknown : { status: 200, body: { value: [] } }))
  expect(await authorization(wire).grantsOf(WHO, KEY)).toEqual([])
})

test('one’s own permissions', async () => {
  const value = [{ actions: ['*/read'], notActions: [], dataActions: [], notDataActions: [] }]
  expect(await authorization(fakeWire(() => ({ status: 200, body: { value } }))).ownPermissions(KEY)).toEqual(value)
  expect(await authorization(fakeWire(() => FORBIDDEN)).ownPermissions(KEY)).toBeUndefined()
})
