import { describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import type { Cluster } from '../../src/model/cluster.ts'
import type { JsonObject } from '../../src/model/json.ts'
import { KMS_OFF, type KmsOn } from '../../src/model/kms-profile.ts'
import { accessKey, type Observed, type ObservedCluster } from '../../src/model/observed.ts'
import type { Vault, VaultAccess, VaultChange, VaultObservation } from '../../src/model/vault.ts'
import { decide } from '../../src/operations/decide.ts'
import {
  clusterWith,
  keyDetails,
  keyVersion,
  kmsOn,
  observedWith,
  requestFor,
  vaultWith
} from '../fixtures/observed.ts'
import { expectResumable, expectSafe, refusals, walk } from '../fixtures/walk.ts'

const K1 = keyVersion(1)
const K2 = keyVersion(2)
const [D1, D2] = [keyDetails(K1), keyDetails(K2)]
const VAULT = vaultWith()

/** With what Resource Manager shows of the vault of these keys. */
function withVault(observed: ObservedCluster, changes: Partial<Vault>): ObservedCluster {
  const vault: VaultObservation = { kind: 'readable', vault: { ...VAULT, ...changes } }
  return { ...observed, vaults: new Map([[VAULT.url, vault]]) }
}

describe('create', () => {
  const request = requestFor('create', { key: K1, clusterDefinition: { location: 'westeurope', properties: {} } })
  const none = { ...observedWith(clusterWith(), [D1]), cluster: undefined, definition: clusterWith() }

  test('creates the cluster with its profile, and proves', () => {
    const { steps, end, last } = walk(request, none)
    expect(steps).toEqual(['create the cluster with 1', 'prove'])
    expect(end.kind).toBe('done')
    expect(last.cluster?.kms).toEqual(kmsOn(K1))
  })

  test('a plan has a digest of the definition, and nothing that is secret in it goes into that', () => {
    const digest = (properties: JsonObject): unknown => {
      const decision = decide({ ...request, clusterDefinition: { location: 'westeurope', properties } }, none)
      return decision.kind === 'step' && decision.step.kind === 'create-cluster' && decision.step.definitionDigest
    }
    expect(digest({ a: 1, b: 2 })).toMatch(/^[0-9a-f]{64}$/)
    expect(digest({ a: 1, b: 2 })).toBe(digest({ b: 2, a: 1 }))
    expect(digest({ a: 1 })).not.toBe(digest({ a: 2 }))
    expect(digest({ windowsProfile: { adminPassword: 'x' } })).toBe(digest({ windowsProfile: { adminPassword: 'y' } }))
  })

  test.each<[string, Partial<Observed>, Code]>([
    [
      'an unusable key',
      { keys: observedWith(clusterWith(), [keyDetails(K1, { enabled: false })]).keys },
      'key-disabled'
    ],
    ['a key that is not there', { keys: new Map() }, 'key-not-found'],
    [
      'no user-assigned identity',
      { definition: clusterWith(KMS_OFF, { identityType: 'SystemAssigned' }) },
      'identity-not-user-assigned'
    ]
  ])('%s is refused before anything is created', (_name, changes, code) => {
    expect(refusals(request, { ...none, ...changes })).toEqual([code])
  })

  test.each<[string, Cluster]>([
    ['without KMS', clusterWith()],
    ['under another key', clusterWith(kmsOn(K2))],
    ['in the other mode', clusterWith({ ...kmsOn(K1), networkAccess: 'Private', vaultResourceId: VAULT.id })],
    ['and somebody is at work on it', clusterWith(KMS_OFF, { phase: 'changing' })]
  ])('a cluster that is there %s is refused', (_name, cluster) => {
    expect(refusals(request, observedWith(cluster, [D1, D2]))).toEqual(['cluster-exists'])
  })

  test('a cluster that is there as it was to be is proved, also while AKS is still creating it', () => {
    expect(walk(request, observedWith(clusterWith(kmsOn(K1)), [D1])).steps).toEqual(['prove'])
    const creating = clusterWith(kmsOn(K1), { phase: 'changing', provisioningState: 'Creating' })
    expect(walk(request, observedWith(creating, [D1])).steps).toEqual(['wait', 'prove'])
  })

  test('a creation that failed is refused', () => {
    const failed = clusterWith(kmsOn(K1), { phase: 'failed', provisioningState: 'Failed' })
    expect(refusals(request, observedWith(failed, [D1]))).toEqual(['cluster-failed'])
  })
})

describe('change-vault-mode', () => {
  const toPrivate = requestFor('change-vault-mode', { networkAccess: 'Private', vaultResourceId: VAULT.id })
  const toPublic = requestFor('change-vault-mode', { networkAccess: 'Public' })
  const privately: KmsOn = { ...kmsOn(K1), networkAccess: 'Private', vaultResourceId: VAULT.id }
  const open = withVault(observedWith(clusterWith(kmsOn(K1)), [D1]), { publicNetworkAccess: 'Enabled' })
  const closed = withVault(observedWith(clusterWith(privately), [D1]), { publicNetworkAccess: 'Disabled' })

  test('closes the vault while KMS is off, and proves before, between and after', () => {
    const { steps, end, last } = walk(toPrivate, open)
    expect(steps).toEqual(['prove', 'off', 'prove', 'close the vault', 'set 1 Private', 'prove'])
    expect(end.kind).toBe('done')
    expect(last.cluster?.kms).toEqual(privately)
  })

  test('opens the vault while KMS is off, on the way back', () => {
    const { steps, last } = walk(toPublic, closed)
    expect(steps).toEqual(['prove', 'off', 'prove', 'open the vault', 'set 1', 'prove'])
    expect(last.cluster?.kms).toEqual(kmsOn(K1))
  })

  test('leaves a vault alone that is as it must be already', () => {
    const shut = withVault(open, { publicNetworkAccess: 'Disabled' })
    expect(walk(toPrivate, shut).steps).toEqual(['prove', 'off', 'prove', 'set 1 Private', 'prove'])
  })

  test('in that mode already: proves only', () => {
    for (const [request, start] of [
      [toPrivate, closed],
      [toPublic, open]
    ] as const) {
      const { steps, end } = walk(request, start)
      expect(steps).toEqual(['prove'])
      expect(end).toMatchObject({ kind: 'done', sentence: expect.stringContaining('already') })
    }
  })

  test('is refused where KMS is off, unless it is this operation that has switched it off', () => {
    const off = withVault(observedWith(clusterWith(), [D1]), {})
    expect(refusals(toPrivate, off)).toEqual(['kms-off'])
    const goal = { operation: 'change-vault-mode', kms: privately, fromKeyId: K1.url, kubernetesVersion: undefined }
    const begun = { ...off, goal: { goal, fromEarlierRun: true } }
    const { steps, end } = walk(toPrivate, begun)
    expect(steps).toEqual(['prove', 'close the vault', 'set 1 Private', 'prove'])
    expect(end).toMatchObject({ sentence: expect.stringMatching(/^Finished what was interrupted/) })
    expect(
      refusals(toPrivate, { ...begun, goal: { goal: { ...goal, operation: 'disable' }, fromEarlierRun: true } })
    ).toEqual(['kms-off'])
  })

  test('another operation in between is told to leave it to this one', () => {
    const goal = { operation: 'change-vault-mode', kms: privately, fromKeyId: K1.url, kubernetesVersion: undefined }
    const begun = observedWith(clusterWith(), [D1], { goal: { goal, fromEarlierRun: true } })
    expect(walk(requestFor('rotate'), begun).end).toMatchObject({
      kind: 'refused',
      findings: [{ code: 'kms-off', fix: expect.stringContaining('`change-vault-mode`') }]
    })
  })

  test('may be turned round while it is interrupted', () => {
    const goal = { operation: 'change-vault-mode', kms: privately, fromKeyId: K1.url, kubernetesVersion: undefined }
    const begun = withVault(observedWith(clusterWith(), [D1], { goal: { goal, fromEarlierRun: true } }), {
      publicNetworkAccess: 'Disabled'
    })
    const { steps, last } = walk(toPublic, begun)
    expect(steps).toEqual(['prove', 'open the vault', 'set 1', 'prove'])
    expect(last.cluster?.kms).toEqual(kmsOn(K1))
  })

  const change = (changes: Partial<VaultChange>): VaultChange => ({
    permission: 'granted',
    publicUsers: [],
    ...changes
  })
  const noKey = observedWith(clusterWith(), [keyDetails(K1, { enabled: false })]).keys
  const unreadable = (reason: 'not-found' | 'other-tenant'): Partial<Observed> => ({
    vaults: new Map([[VAULT.url, { kind: 'unreadable', reason, message: 'no' }]])
  })
  const access = (changes: Partial<VaultAccess>): Partial<Observed> => ({
    access: new Map([
      [accessKey(K1.vaultUrl, K1.name), { useKey: 'granted', approvePrivateEndpoint: 'granted', ...changes }]
    ])
  })
  const overKonnectivity = clusterWith(kmsOn(K1), { vnetIntegration: false })

  test.each<[string, Observed, Code]>([
    ['a key that can’t be used any more', { ...open, keys: noKey }, 'key-disabled'],
    ['a vault that is not seen', { ...open, ...unreadable('not-found') }, 'vault-not-visible'],
    ['a vault of another tenant', { ...open, ...unreadable('other-tenant') }, 'vault-other-tenant'],
    [
      'no permission to change the vault',
      { ...open, vaultChange: change({ permission: 'missing' }) },
      'authorization-failed'
    ],
    [
      'another cluster that uses the vault',
      { ...open, vaultChange: change({ publicUsers: [clusterWith().id] }) },
      'vault-used-by-others'
    ],
    ['no VNet integration', { ...open, cluster: overKonnectivity }, 'vnet-integration-missing'],
    [
      'an identity that may not approve the private endpoint',
      { ...open, ...access({ approvePrivateEndpoint: 'missing' }) },
      'private-endpoint-approval-missing'
    ],
    ['an identity that may not use the key', { ...open, ...access({ useKey: 'missing' }) }, 'key-permission-missing']
  ])('to Private, %s is refused before anything is changed', (_name, start, code) => {
    expect(refusals(toPrivate, start)).toEqual([code])
  })

  test('to Public, a firewall that admits selected networks only is refused; that the vault is closed still is not', () => {
    const start = withVault(closed, { publicNetworkAccess: 'Disabled', selectedNetworks: true })
    expect(refusals(toPublic, start)).toEqual(['vault-selected-networks'])
  })

  test('whoever else uses the vault does not mind that it is opened', () => {
    const start = { ...closed, vaultChange: change({ publicUsers: [clusterWith().id] }) }
    expect(walk(toPublic, start).end.kind).toBe('done')
  })

  test('the id of another vault is refused: that way leads `rotate`', () => {
    const request = { ...toPrivate, vaultResourceId: `${VAULT.id}-2` }
    expect(walk(request, open).end).toMatchObject({
      kind: 'refused',
      findings: [{ code: 'input-invalid', fix: expect.stringContaining('`rotate`') }]
    })
  })

  test('whether the vault may be changed does not matter where it needs no change', () => {
    const shut = withVault(open, { publicNetworkAccess: 'Disabled' })
    expect(
      walk(toPrivate, { ...shut, vaultChange: change({ permission: 'missing', publicUsers: ['x'] }) }).end.kind
    ).toBe('done')
  })

  test.each<[string, typeof toPublic, Observed]>([
    ['to Private', toPrivate, open],
    ['to Public', toPublic, closed]
  ])('%s: safe in every step, and to be killed in any', (_name, request, start) => {
    expectSafe(request, start)
    expectResumable(request, start)
  })
})

describe('rotate to another vault in the other mode', () => {
  const other = keyVersion(7, 'kv-other')
  const OTHER = vaultWith({ id: VAULT.id.replace('kv-platform', 'kv-other'), name: 'kv-other', url: other.vaultUrl })
  const start = observedWith(clusterWith(kmsOn(K1)), [D1, keyDetails(other)], {
    vaults: new Map<string, VaultObservation>([
      [VAULT.url, { kind: 'readable', vault: VAULT }],
      [OTHER.url, { kind: 'readable', vault: { ...OTHER, publicNetworkAccess: 'Disabled' } }]
    ])
  })
  const request = requestFor('rotate', { key: other, networkAccess: 'Private', vaultResourceId: OTHER.id })
  const privately: KmsOn = { ...kmsOn(other), networkAccess: 'Private', vaultResourceId: OTHER.id }
  const goal = { operation: 'rotate', kms: privately, fromKeyId: K1.url, kubernetesVersion: undefined }

  test('goes directly, and back, to be killed in any step', () => {
    const { steps, last } = walk(request, start)
    expect(steps).toEqual(['prove', 'set 7 Private', 'prove'])
    expect(last.cluster?.kms).toEqual(privately)
    expectSafe(request, start)
    expectResumable(request, start)

    const back = requestFor('rotate', { key: K1, networkAccess: 'Public' })
    const from = { ...start, cluster: clusterWith(privately) }
    expect(walk(back, from).steps).toEqual(['prove', 'set 1', 'prove'])
    expectResumable(back, from)
  })

  test('finds the id of the other vault by itself', () => {
    expect(walk({ ...request, vaultResourceId: undefined }, start).last.cluster?.kms).toEqual(privately)
  })

  test('a mode that was changed before anything was set is taken', () => {
    const opened = new Map<string, VaultObservation>([[OTHER.url, { kind: 'readable', vault: OTHER }]])
    const begun = { ...start, vaults: opened, goal: { goal, fromEarlierRun: true } }
    const { last } = walk({ ...request, networkAccess: 'Public' }, begun)
    expect(last.cluster?.kms).toEqual(kmsOn(other))
  })

  test('a mode that was changed after it was set is warned of, when the rotation is proved', () => {
    const set = { ...start, cluster: clusterWith(privately), goal: { goal, fromEarlierRun: true } }
    const { steps, end } = walk({ ...request, networkAccess: 'Public' }, set)
    expect(steps).toEqual(['prove'])
    expect(end).toMatchObject({ kind: 'done', findings: [{ severity: 'warning', code: 'vault-mode-differs' }] })
  })

  test('the key version in use in the other mode is no rotation', () => {
    const inPlace = requestFor('rotate', { key: K1, networkAccess: 'Private', vaultResourceId: VAULT.id })
    expect(refusals(inPlace, start)).toEqual(['vault-mode-differs'])
  })
})
