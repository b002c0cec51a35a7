import { describe, expect, test } from '@jest/globals'
import { createAuthorization } from '../../src/azure/authorization.ts'
import { createResourceManager } from '../../src/azure/resource-manager.ts'
import {
  fakeCredential,
  fakePause,
  fakeWire,
  PUBLIC_CLOUD,
  rejection,
  type Answer,
  type FakeWire
} from './azure-fakes.ts'

const KEY = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv/keys/etcd'
const WHO = '00000000-0000-0000-0000-00000000000a'
const [CRYPTO_USER, CONTRIBUTOR] = ['12338af0-0e69-4776-bea7-57ae8d297424', 'f25e0fa2-a7c8-4377-a976-54943a77a395']
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
      { scope: KEY, conditional: false, permissions: user },
      {
        scope: '/subscriptions/s/resourceGroups/rg',
        conditional: false,
        permissions: [{ actions: ['Microsoft.KeyVault/*'], notActions: [], dataActions: [], notDataActions: [] }]
      },
      { scope: '/subscriptions/s', conditional: true, permissions: user }
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

test('one’s own permissions', async () => {
  const value = [{ actions: ['*/read'], notActions: [], dataActions: [], notDataActions: [] }]
  expect(await authorization(fakeWire(() => ({ status: 200, body: { value } }))).ownPermissions(KEY)).toEqual(value)
  expect(await authorization(fakeWire(() => FORBIDDEN)).ownPermissions(KEY)).toBeUndefined()
})
