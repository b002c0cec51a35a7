import { describe, expect, test } from '@jest/globals'
import { createResourceManager } from '../../src/azure/resource-manager.ts'
import { createVaults } from '../../src/azure/vaults.ts'
import { fakeCredential, fakePause, fakeWire, PUBLIC_CLOUD, type Answer } from './azure-fakes.ts'

const ID = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-platform'

function vaults(answer: (url: URL) => Answer) {
  const wire = fakeWire(({ url }) => answer(new URL(url)))
  const arm = createResourceManager(fakeCredential, PUBLIC_CLOUD, 's', { httpClient: wire, pause: fakePause().pause })
  return { wire, vaults: createVaults(arm, PUBLIC_CLOUD, 's') }
}

function shown(properties: Readonly<Record<string, unknown>> = {}): Answer {
  return {
    status: 200,
    body: { id: ID, name: 'kv-platform', location: 'westeurope', properties: { tenantId: 't', ...properties } }
  }
}

const refused = (status: number, code: string): Answer => ({ status, body: { error: { code, message: 'No.' } } })

describe('a vault', () => {
  const read = async (properties: Readonly<Record<string, unknown>>) => {
    const seen = await vaults(() => shown(properties)).vaults.read(ID)
    return seen.kind === 'readable' ? seen.vault : undefined
  }

  test('of which Azure shows little is what Azure makes by default', async () => {
    expect(await read({})).toEqual({
      createdAt: undefined,
      provisioned: true,
      id: ID,
      name: 'kv-platform',
      url: 'https://kv-platform.vault.azure.net',
      location: 'westeurope',
      tenantId: 't',
      rbac: false,
      softDelete: true,
      purgeProtection: false,
      publicNetworkAccess: 'Enabled',
      selectedNetworks: false,
      accessPolicies: []
    })
  })

  test('is told by what it shows', async () => {
    expect(
      await read({
        vaultUri: 'https://KV-Platform.vault.azure.net/',
        enableRbacAuthorization: true,
        enableSoftDelete: false,
        enablePurgeProtection: true,
        publicNetworkAccess: 'disabled',
        networkAcls: { defaultAction: 'Deny' },
        accessPolicies: [{ objectId: 'o', permissions: { keys: ['Encrypt', 'decrypt'], secrets: ['all'] } }]
      })
    ).toMatchObject({
      url: 'https://KV-Platform.vault.azure.net',
      rbac: true,
      softDelete: false,
      purgeProtection: true,
      publicNetworkAccess: 'Disabled',
      selectedNetworks: true,
      accessPolicies: [{ objectId: 'o', keys: ['encrypt', 'decrypt'] }]
    })
  })

  test('inside a network security perimeter is closed to public networks', async () => {
    expect(await read({ publicNetworkAccess: 'SecuredByPerimeter' })).toMatchObject({ publicNetworkAccess: 'Disabled' })
  })

  test.each([
    ['is not there', refused(404, 'ResourceNotFound'), 'not-found'],
    ['may not be seen', refused(403, 'AuthorizationFailed'), 'forbidden'],
    ['is in another tenant’s subscription', refused(401, 'InvalidAuthenticationTokenTenant'), 'other-tenant']
  ])('that %s is told', async (_name, answer, reason) => {
    expect(await vaults(() => answer).vaults.read(ID)).toMatchObject({ kind: 'unreadable', reason })
  })
})

describe('a vault by its name', () => {
  test('is found within the subscription, then read', async () => {
    const { vaults: found, wire } = vaults((url) =>
      url.pathname.endsWith('/resources') ? { status: 200, body: { value: [{ id: ID }] } } : shown()
    )
    expect(await found.find('kv-platform')).toMatchObject({ kind: 'readable', vault: { id: ID } })
    expect(wire.sent.map(({ url }) => new URL(url).searchParams.get('$filter'))).toEqual([
      "resourceType eq 'Microsoft.KeyVault/vaults' and name eq 'kv-platform'",
      null
    ])
  })

  test.each([
    ['not on the list', { status: 200, body: { value: [] } }],
    ['of which no list is shown', refused(403, 'AuthorizationFailed')]
  ])('%s is not found', async (_name, answer) => {
    expect(await vaults(() => answer).vaults.find('kv-platform')).toMatchObject({
      kind: 'unreadable',
      reason: 'not-found',
      message: expect.stringContaining('kv-platform')
    })
  })
})
