import { describe, expect, test } from '@jest/globals'
import { KMS_OFF, kmsOn, type KmsProfile } from '../../src/model/kms-profile.ts'
import { accessKey, type ObservedCluster } from '../../src/model/observed.ts'
import type { Vault, VaultAccess, VaultObservation } from '../../src/model/vault.ts'
import { noteUnknownAccess } from '../../src/preflight/key-access.ts'
import { adviseProfile, checkProfile } from '../../src/preflight/profile.ts'
import { clusterWith, DAY, keyDetails, keyVersion, NOW, observedWith, TENANT, vaultWith } from '../fixtures/observed.ts'

const KEY = keyVersion(1)
const VAULT_ID = vaultWith().id
const PUBLIC = kmsOn(KEY.url, 'Public', undefined)
const PRIVATE = kmsOn(KEY.url, 'Private', VAULT_ID)
const ALL: VaultAccess = { useKey: 'granted', approvePrivateEndpoint: 'granted' }

interface Scene {
  readonly vault?: Partial<Vault>
  readonly observation?: VaultObservation
  readonly access?: Partial<VaultAccess>
  readonly cluster?: Parameters<typeof clusterWith>[1]
  readonly present?: KmsProfile
  readonly key?: Parameters<typeof keyDetails>[1]
  readonly more?: Partial<ObservedCluster>
}

function scene({ vault, observation, access, cluster, present = KMS_OFF, key, more }: Scene = {}): ObservedCluster {
  return observedWith(clusterWith(present, cluster), [keyDetails(KEY, key)], {
    tenantId: TENANT,
    vaults: new Map([[KEY.vaultUrl, observation ?? { kind: 'readable', vault: vaultWith(vault) }]]),
    access: new Map([[accessKey(KEY.vaultUrl, KEY.name), { ...ALL, ...access }]]),
    ...more
  })
}

describe('before a cluster is given a key', () => {
  test.each([
    ['Public', PUBLIC],
    ['Private', PRIVATE],
    ['off', KMS_OFF]
  ])('nothing stands against a vault as the documentation asks for: %s', (_name, wanted) => {
    expect(checkProfile(scene(), wanted)).toEqual([])
    expect(adviseProfile(scene(), wanted)).toEqual([])
  })

  test.each<[string, Scene, KmsProfile, string[]]>([
    ['another tenant’s vault', { vault: { tenantId: 'other' } }, PUBLIC, ['vault-other-tenant']],
    ['the same tenant in capitals', { vault: { tenantId: TENANT.toUpperCase() } }, PUBLIC, []],
    ['a tenant that is not known', { vault: { tenantId: 'other' }, more: { tenantId: undefined } }, PUBLIC, []],
    [
      'a vault in another tenant’s subscription',
      { observation: { kind: 'unreadable', reason: 'other-tenant', message: 'Elsewhere.' } },
      PRIVATE,
      ['vault-other-tenant']
    ],
    ['no public access', { vault: { publicNetworkAccess: 'Disabled' } }, PUBLIC, ['vault-public-access-disabled']],
    ['no public access, Private', { vault: { publicNetworkAccess: 'Disabled' } }, PRIVATE, []],
    ['selected networks', { vault: { selectedNetworks: true } }, PUBLIC, ['vault-selected-networks']],
    ['selected networks, Private', { vault: { selectedNetworks: true } }, PRIVATE, []],
    ['no VNet Integration', { cluster: { vnetIntegration: false } }, PUBLIC, []],
    ['no VNet Integration, Private', { cluster: { vnetIntegration: false } }, PRIVATE, ['vnet-integration-missing']],
    [
      'Konnectivity',
      { cluster: { vnetIntegration: false }, present: kmsOn(keyVersion(2).url, 'Private', VAULT_ID) },
      PRIVATE,
      ['private-vault-over-konnectivity']
    ],
    ['Konnectivity, off', { cluster: { vnetIntegration: false }, present: PRIVATE }, KMS_OFF, []],
    [
      'a vault that is not seen',
      { observation: { kind: 'unreadable', reason: 'forbidden', message: 'No.' } },
      PUBLIC,
      ['vault-not-visible']
    ],
    ['an identity that may not use the key', { access: { useKey: 'missing' } }, PUBLIC, ['key-permission-missing']],
    [
      'an identity that may nothing, Private',
      { access: { useKey: 'missing', approvePrivateEndpoint: 'missing' } },
      PRIVATE,
      ['key-permission-missing', 'private-endpoint-approval-missing']
    ],
    ['no approval where none is needed', { access: { approvePrivateEndpoint: 'missing' } }, PUBLIC, []],
    ['rights that are not known', { access: { useKey: 'unknown', approvePrivateEndpoint: 'unknown' } }, PRIVATE, []],
    [
      'a workflow that may not use the identity',
      { more: { assignIdentity: 'missing' } },
      PUBLIC,
      ['identity-assign-forbidden']
    ],
    ['the same to switch off', { more: { assignIdentity: 'missing' } }, KMS_OFF, ['identity-assign-forbidden']],
    ['a workflow of which that is not known', { more: { assignIdentity: 'unknown' } }, PUBLIC, []],
    ['6 days and 23 hours left', { key: { expires: NOW + 7 * DAY - DAY / 24 } }, PUBLIC, ['key-expires-soon']],
    ['7 days left', { key: { expires: NOW + 7 * DAY } }, PUBLIC, []],
    ['none left', { key: { expires: NOW } }, PUBLIC, ['key-expired']]
  ])('%s', (_name, given, wanted, codes) => {
    expect(checkProfile(scene(given), wanted).map(({ code }) => code)).toEqual(codes)
  })

  test('a vault that was not looked at is left to AKS', () => {
    expect(checkProfile(observedWith(clusterWith(), [keyDetails(KEY)]), PRIVATE)).toEqual([])
  })
})

describe('the fix is the command for this very vault and identity', () => {
  const fixOf = (given: Scene, wanted: KmsProfile) => checkProfile(scene(given), wanted).map(({ fix }) => fix)

  test('a role on the key', () => {
    expect(fixOf({ access: { useKey: 'missing' } }, PUBLIC)).toEqual([
      expect.stringContaining(
        `--assignee-object-id 00000000-0000-0000-0000-00000000000a --assignee-principal-type ServicePrincipal --role "Key Vault Crypto User" --scope ${VAULT_ID}/keys/etcd\``
      )
    ])
  })

  test('an access policy', () => {
    expect(fixOf({ access: { useKey: 'missing' }, vault: { rbac: false } }, PUBLIC)).toEqual([
      expect.stringContaining(
        'az keyvault set-policy --name kv-platform --object-id 00000000-0000-0000-0000-00000000000a --key-permissions encrypt decrypt'
      )
    ])
  })

  test('a role on the vault', () => {
    expect(fixOf({ access: { approvePrivateEndpoint: 'missing' } }, PRIVATE)).toEqual([
      expect.stringContaining(`--role "Key Vault Contributor" --scope ${VAULT_ID}\``)
    ])
  })
})

describe('what is told all the same', () => {
  test.each([
    [{ purgeProtection: false }, 'no purge protection'],
    [{ purgeProtection: false, softDelete: false }, 'neither soft delete nor purge protection']
  ])('%j', (vault, words) => {
    expect(adviseProfile(scene({ vault }), PUBLIC)).toEqual([
      expect.objectContaining({
        severity: 'warning',
        code: 'purge-protection-missing',
        message: expect.stringContaining(words)
      })
    ])
    expect(adviseProfile(scene({ vault }), KMS_OFF)).toEqual([])
  })

  test('that the rights of the cluster’s identity can’t be seen, and why', () => {
    const note = (vault: Partial<Vault>) => noteUnknownAccess(scene({ access: { useKey: 'unknown' }, vault }))
    expect(note({})).toEqual([
      expect.objectContaining({
        severity: 'note',
        code: 'key-permission-unknown',
        message: expect.stringContaining('role')
      })
    ])
    expect(note({ rbac: false })).toEqual([
      expect.objectContaining({ message: expect.stringContaining('access policy') })
    ])
    expect(noteUnknownAccess(scene())).toEqual([])
    // A vault that is not seen is refused for that.
    const unseen: VaultObservation = { kind: 'unreadable', reason: 'not-found', message: 'No.' }
    expect(noteUnknownAccess(scene({ access: { useKey: 'unknown' }, observation: unseen }))).toEqual([])
  })
})
