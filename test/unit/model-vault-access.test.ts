import { describe, expect, test } from '@jest/globals'
import { attachedVaults } from '../../src/model/attached-vault.ts'
import type { Grant } from '../../src/model/permissions.ts'
import type { AccessPolicy } from '../../src/model/vault.ts'
import { vaultAccess } from '../../src/model/vault-access.ts'
import { keyVersion, vaultWith } from '../fixtures/observed.ts'

const WHO = '00000000-0000-0000-0000-00000000000a'
const SOMEBODY = '00000000-0000-0000-0000-00000000000b'
const vault = vaultWith()

function roleAt(scope: string, actions: readonly string[], dataActions: readonly string[] = []): Grant {
  const permissions = [{ actions, notActions: [], dataActions, notDataActions: [] }]
  return { scope, conditional: false, createdAt: undefined, permissions }
}

const KEYS = 'Microsoft.KeyVault/vaults/keys'

describe('access to a vault with Azure RBAC', () => {
  const useKey = (grants: readonly Grant[]) => vaultAccess(vault, 'etcd', WHO, grants).useKey

  test('a role on the key is enough', () => {
    expect(useKey([roleAt(`${vault.id}/keys/etcd`, [], [`${KEYS}/*`])])).toBe('granted')
    expect(useKey([roleAt(`${vault.id}/keys/other`, [], [`${KEYS}/*`])])).toBe('missing')
  })

  test('two roles may do together what neither does alone', () => {
    const [encrypts, decrypts] = ['encrypt', 'decrypt'].map((name) => roleAt(vault.id, [], [`${KEYS}/${name}/action`]))
    expect(encrypts && decrypts && useKey([encrypts, decrypts])).toBe('granted')
    expect(encrypts && useKey([encrypts])).toBe('missing')
    expect(
      decrypts && useKey([{ ...decrypts, conditional: true }, roleAt(vault.id, [], [`${KEYS}/encrypt/action`])])
    ).toBe('unknown')
  })

  test('wrapping is not encrypting', () => {
    expect(useKey([roleAt(vault.id, [], [`${KEYS}/read`, `${KEYS}/wrap/action`, `${KEYS}/unwrap/action`])])).toBe(
      'missing'
    )
  })

  test('a private endpoint is approved at the vault, not at the key', () => {
    const approve = (scope: string) =>
      vaultAccess(vault, 'etcd', WHO, [roleAt(scope, ['Microsoft.KeyVault/*'])]).approvePrivateEndpoint
    expect(approve(vault.id)).toBe('granted')
    expect(approve(`${vault.id}/keys/etcd`)).toBe('missing')
  })

  test('what may not be read is unknown', () => {
    expect(vaultAccess(vault, 'etcd', WHO, undefined)).toEqual({ useKey: 'unknown', approvePrivateEndpoint: 'unknown' })
  })
})

describe('access to a vault with access policies', () => {
  test.each<[string, AccessPolicy[], string]>([
    ['its own policy', [{ objectId: WHO.toUpperCase(), keys: ['get', 'encrypt', 'decrypt'] }], 'granted'],
    ['all permissions', [{ objectId: WHO, keys: ['all'] }], 'granted'],
    ['no policy', [{ objectId: SOMEBODY, keys: ['get', 'wrapkey', 'unwrapkey'] }], 'missing'],
    ['encrypt alone', [{ objectId: WHO, keys: ['encrypt'] }], 'missing'],
    ['a policy of what may be a group', [{ objectId: SOMEBODY, keys: ['all'] }], 'unknown']
  ])('%s', (_name, accessPolicies, expected) => {
    // Roles on the data count for nothing here.
    const grants = [roleAt(vault.id, [], ['*'])]
    expect(vaultAccess(vaultWith({ rbac: false, accessPolicies }), 'etcd', WHO, grants)).toEqual({
      useKey: expected,
      approvePrivateEndpoint: 'missing'
    })
  })
})

describe('the vaults that a run has to do with', () => {
  const id = (name: string) => `/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/${name}`

  const [first, second, other] = [keyVersion(1), keyVersion(2), keyVersion(1, 'kv-other')]

  test('are each named once, with their keys', () => {
    const attachments = [first, second].map((key) => ({ key, networkAccess: 'Public' as const }))
    expect(attachedVaults(attachments, [])).toEqual([
      { url: first.vaultUrl, name: 'kv-platform', id: undefined, isPrivate: false, keyNames: ['etcd'] }
    ])
  })

  test('have the id that is theirs by name, wherever it was named', () => {
    const attachments = [
      { key: first, networkAccess: 'Private' },
      { key: other, networkAccess: 'Public' }
    ] as const
    expect(
      attachedVaults(attachments, [undefined, id('kv-other'), id('KV-Platform')]).map((vault) => [
        vault.id,
        vault.isPrivate
      ])
    ).toEqual([
      [id('KV-Platform'), true],
      [id('kv-other'), false]
    ])
    expect(attachedVaults(attachments, [id('kv-third')]).map((vault) => vault.id)).toEqual([undefined, undefined])
  })

  test('are Private as soon as one of their keys is', () => {
    const attachments = (['Private', 'Public'] as const).map((networkAccess) => ({ key: first, networkAccess }))
    expect(attachedVaults(attachments, []).map(({ isPrivate }) => isPrivate)).toEqual([true])
    expect(attachedVaults([...attachments].reverse(), []).map(({ isPrivate }) => isPrivate)).toEqual([true])
  })
})
