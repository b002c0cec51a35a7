import { describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import type { Observed } from '../../src/model/observed.ts'
import {
  keyScope,
  SPREADING_MS,
  type ObservedPreparation,
  type PreparedKind,
  type VaultKey,
  type WantedPreparation
} from '../../src/model/preparation.ts'
import { preparedResources } from '../../src/model/prepared-resources.ts'
import { ROLES, type Purpose } from '../../src/model/roles.ts'
import type { Decision } from '../../src/model/step.ts'
import type { Vault } from '../../src/model/vault.ts'
import { decide } from '../../src/operations/decide.ts'
import { makePlan } from '../../src/plan.ts'
import type { Request } from '../../src/request.ts'
import { bind } from '../../src/steps/steps.ts'
import {
  clusterWith,
  DAY,
  keyDetails,
  keyVersion,
  NOW,
  observedWith,
  requestFor,
  TENANT,
  vaultWith
} from '../fixtures/observed.ts'

const GROUP = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg'
const WANTED: WantedPreparation = {
  vaultId: `${GROUP}/providers/Microsoft.KeyVault/vaults/kv-platform`,
  vaultUrl: 'https://kv-platform.vault.azure.net',
  keyName: 'etcd',
  keySize: 3072,
  rotationDays: undefined,
  identityId: `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/prod`,
  networkAccess: 'Public',
  location: undefined
}
const WHO = '00000000-0000-0000-0000-00000000000a'
const NOTHING: ObservedPreparation = {
  vault: { kind: 'unreadable', reason: 'not-found', message: 'No such vault.' },
  deletedVault: undefined,
  key: undefined,
  identity: undefined,
  tenantId: TENANT,
  grants: [],
  vaultLocation: 'westeurope',
  identityLocation: 'northeurope',
  missingGroups: [],
  made: new Map()
}
const READY: ObservedPreparation = {
  ...NOTHING,
  vault: { kind: 'readable', vault: vaultWith() },
  key: { kind: 'readable', key: keyWith() },
  identity: { id: WANTED.identityId, location: 'northeurope', tenantId: TENANT, principalId: WHO },
  grants: [grant('use-key', keyScope(WANTED))],
  vaultLocation: undefined,
  identityLocation: undefined
}

function keyWith(changes: Partial<VaultKey> = {}): VaultKey {
  return { version: keyDetails(keyVersion(1)), size: 3072, rotationPolicy: undefined, ...changes }
}

function grant(purpose: Purpose, scope: string, createdAt?: number) {
  return { scope, conditional: false, createdAt, permissions: [ROLES[purpose].permissions] }
}

function withVault(changes: Partial<Vault>, more: Partial<ObservedPreparation> = {}): ObservedPreparation {
  return { ...READY, vault: { kind: 'readable', vault: vaultWith(changes) }, ...more }
}

function observed(preparation: ObservedPreparation, now = NOW): Observed {
  return { ...observedWith(clusterWith()), now, cluster: undefined, preparation }
}

function request(changes: Partial<WantedPreparation> = {}, more: Partial<Request> = {}): Request {
  return requestFor('prepare', { cluster: undefined, preparation: { ...WANTED, ...changes }, ...more })
}

/** The kinds of all steps to the end, and the end itself. */
function walk(
  asked: Request,
  seen: ObservedPreparation
): { readonly steps: readonly string[]; readonly end: Decision } {
  const steps: string[] = []
  for (let state = observed(seen); ;) {
    const decision = decide(asked, state)
    if (decision.kind !== 'step') return { steps, end: decision }
    if (steps.push(decision.step.kind) > 20) throw new Error(steps.join(', '))
    state = bind(decision.step).predict(state)
  }
}

/** Refused before anything is made. */
function refusals(asked: Request, seen: ObservedPreparation): readonly Code[] {
  const { steps, end } = walk(asked, seen)
  expect(steps).toEqual([])
  return end.kind === 'refused' ? end.findings.map(({ code }) => code) : []
}

/** Warnings of a run that has nothing to make. */
function warnings(asked: Request, seen: ObservedPreparation): readonly string[] {
  const { steps, end } = walk(asked, seen)
  expect(steps).toEqual([])
  if (end.kind !== 'done') throw new Error(end.kind)
  expect(new Set(end.findings.map(({ severity }) => severity))).toEqual(new Set(end.findings.map(() => 'warning')))
  return end.findings.map(({ message }) => message)
}

describe('what is missing is made', () => {
  test('from nothing, and then waited for', () => {
    const { steps, end } = walk(request(), NOTHING)
    expect(steps).toEqual(['create-vault', 'create-identity', 'create-key', 'assign-role', 'wait-for-roles'])
    expect(end).toMatchObject({ kind: 'done', findings: [] })
  })

  test('for a private vault with the role that approves its endpoint', () => {
    const { steps } = walk(request({ networkAccess: 'Private' }), NOTHING)
    expect(steps).toEqual([
      'create-vault',
      'create-identity',
      'create-key',
      'assign-role',
      'assign-role',
      'wait-for-roles'
    ])
    const first = decide(request({ networkAccess: 'Private' }), observed(NOTHING))
    expect(first).toMatchObject({ step: { publicNetworkAccess: 'Disabled', tenantId: TENANT, location: 'westeurope' } })
  })

  test('the identity first where only that tells the tenant', () => {
    const seen = { ...NOTHING, tenantId: undefined }
    expect(walk(request({}, { credential: { kind: 'managed-identity', clientId: undefined } }), seen).steps[0]).toBe(
      'create-identity'
    )
    const oidc = { credential: { kind: 'oidc', clientId: WHO, tenantId: TENANT } } as const
    expect(walk(request({}, oidc), seen).steps[0]).toBe('create-vault')
  })

  test.each<[string, Partial<ObservedPreparation>, readonly string[]]>([
    ['nothing', {}, []],
    [
      'the vault and all in it',
      { vault: NOTHING.vault, key: undefined, grants: [], vaultLocation: 'x' },
      ['create-vault', 'create-key', 'assign-role', 'wait-for-roles']
    ],
    ['the key', { key: { kind: 'unreadable', reason: 'not-found', message: '' } }, ['create-key']],
    [
      'the identity',
      { identity: undefined, grants: [], identityLocation: 'x' },
      ['create-identity', 'assign-role', 'wait-for-roles']
    ],
    ['the role', { grants: [] }, ['assign-role', 'wait-for-roles']]
  ])('where %s is missing', (_, missing, steps) => {
    expect(walk(request(), { ...READY, ...missing })).toMatchObject({ steps, end: { kind: 'done' } })
  })

  test('an access policy in a vault that has such, without a wait', () => {
    const policies = { rbac: false, accessPolicies: [{ objectId: 'somebody', keys: ['encrypt', 'decrypt'] }] }
    const { steps, end } = walk(request(), withVault(policies, { grants: undefined }))
    expect(steps).toEqual(['add-access-policy'])
    expect(end.kind).toBe('done')
  })

  test('a role is enough wherever it holds', () => {
    for (const scope of ['/subscriptions/00000000-0000-0000-0000-000000000001', GROUP, WANTED.vaultId]) {
      expect(walk(request(), { ...READY, grants: [grant('use-key', scope)] }).steps).toEqual([])
    }
    expect(walk(request(), { ...READY, grants: [grant('use-key', `${WANTED.vaultId}/keys/other`)] }).steps).toEqual([
      'assign-role',
      'wait-for-roles'
    ])
  })
})

describe('what Azure takes time for', () => {
  const young = (ago: number): ObservedPreparation => ({
    ...READY,
    grants: [grant('use-key', keyScope(WANTED), NOW - ago)]
  })

  test('a role is waited for until it is 10 minutes old, and not longer', () => {
    expect(decide(request(), observed(young(DAY))).kind).toBe('done')
    expect(decide(request(), observed(young(SPREADING_MS))).kind).toBe('done')
    expect(decide(request(), observed(young(60_000)))).toEqual({
      kind: 'step',
      step: { kind: 'wait-for-roles', until: NOW - 60_000 + SPREADING_MS }
    })
  })

  test('a young role is not waited for where an older one permits the same', () => {
    const both = [...(young(0).grants ?? []), grant('use-key', GROUP, NOW - DAY)]
    expect(decide(request(), observed({ ...READY, grants: both })).kind).toBe('done')
  })

  test('a role that this run has given and Azure does not list yet is not given again, and waited for', () => {
    const made = new Map<PreparedKind, number>([['use-key', NOW - 1000]])
    expect(decide(request(), observed({ ...READY, grants: [], made }))).toEqual({
      kind: 'step',
      step: { kind: 'wait-for-roles', until: NOW - 1000 + SPREADING_MS }
    })
    expect(decide(request(), observed({ ...READY, grants: [], made }, NOW + SPREADING_MS)).kind).toBe('done')
    const policy = withVault({ rbac: false }, { made })
    expect(decide(request(), observed(policy)).kind).toBe('done')
  })

  const forbidden = { kind: 'unreadable', reason: 'forbidden', message: 'May not.' } as const

  test('a key that may not be read is waited for in a new vault, and refused in an old one', () => {
    const inNew = withVault({ createdAt: NOW - 60_000 }, { key: forbidden })
    expect(decide(request(), observed(inNew))).toEqual({
      kind: 'step',
      step: {
        kind: 'wait-for-vault',
        vaultId: WANTED.vaultId,
        keyName: 'etcd',
        until: NOW - 60_000 + SPREADING_MS
      }
    })
    expect(refusals(request(), withVault({ createdAt: NOW - SPREADING_MS }, { key: forbidden }))).toEqual([
      'key-forbidden'
    ])
    expect(refusals(request(), withVault({ createdAt: undefined }, { key: forbidden }))).toEqual(['key-forbidden'])
  })

  test('a vault that is being made is waited for', () => {
    expect(walk(request(), withVault({ provisioned: false, createdAt: NOW })).steps).toEqual(['wait-for-vault'])
  })
})

describe('what makes KMS impossible is refused before anything is made', () => {
  const details = keyDetails(keyVersion(1))
  const withKey = (changes: Partial<typeof details>): ObservedPreparation => ({
    ...READY,
    // Something is missing too: it is not made.
    grants: [],
    key: { kind: 'readable', key: keyWith({ version: { ...details, ...changes } }) }
  })

  test.each<[Code, ObservedPreparation]>([
    ['key-not-rsa', withKey({ keyType: 'EC' })],
    ['key-lacks-operations', withKey({ keyOperations: ['encrypt', 'wrapKey'] })],
    ['key-disabled', withKey({ enabled: false })],
    ['key-expired', withKey({ expires: NOW - DAY })],
    ['key-not-yet-valid', withKey({ notBefore: NOW + DAY })],
    ['key-deleted', { ...READY, key: { kind: 'unreadable', reason: 'deleted', message: '' } }],
    ['vault-deleted', { ...NOTHING, deletedVault: 'westeurope' }],
    ['vault-other-tenant', withVault({ tenantId: WHO })],
    ['vault-other-tenant', withVault({ tenantId: WHO }, { identity: undefined })],
    ['vault-public-access-disabled', withVault({ publicNetworkAccess: 'Disabled' })],
    ['vault-selected-networks', withVault({ selectedNetworks: true })],
    ['resource-group-not-found', { ...NOTHING, vaultLocation: undefined, missingGroups: ['rg'] }],
    ['authorization-failed', { ...NOTHING, vault: { kind: 'unreadable', reason: 'forbidden', message: 'May not.' } }],
    ['vault-other-tenant', { ...NOTHING, vault: { kind: 'unreadable', reason: 'other-tenant', message: 'Not here.' } }],
    ['authorization-failed', { ...READY, grants: undefined }]
  ])('%s', (code, seen) => {
    expect(refusals(request(), seen)).toEqual([code])
  })

  test('all of it at once', () => {
    const seen = withVault({ publicNetworkAccess: 'Disabled', tenantId: WHO }, { key: withKey({ keyType: 'EC' }).key })
    expect(refusals(request(), seen)).toEqual(['vault-other-tenant', 'vault-public-access-disabled', 'key-not-rsa'])
  })

  test('a closed vault is right for Private, whatever its firewall says', () => {
    const grants = [grant('use-key', WANTED.vaultId), grant('approve-private-endpoint', WANTED.vaultId)]
    const asked = request({ networkAccess: 'Private' })
    expect(warnings(asked, withVault({ publicNetworkAccess: 'Disabled', selectedNetworks: true }, { grants }))).toEqual(
      []
    )
  })
})

describe('what differs is told and left', () => {
  const policy = (changes: Partial<NonNullable<VaultKey['rotationPolicy']>>): ObservedPreparation => ({
    ...READY,
    key: {
      kind: 'readable',
      key: keyWith({
        rotationPolicy: { rotateAfter: undefined, rotateBeforeExpiry: undefined, expiresAfter: undefined, ...changes }
      })
    }
  })
  const rotating = request({ rotationDays: 90 })

  test.each<[string, Request, ObservedPreparation, RegExp]>([
    [
      'purge protection',
      request(),
      withVault({ purgeProtection: false }),
      /^Vault kv-platform: It has no purge protection/
    ],
    [
      'soft delete',
      request(),
      withVault({ softDelete: false, purgeProtection: false }),
      /neither soft delete nor purge protection/
    ],
    [
      'access policies',
      request(),
      withVault({ rbac: false, accessPolicies: [{ objectId: WHO, keys: ['all'] }] }),
      /access policies rather than Azure RBAC/
    ],
    [
      'where the vault is',
      request({ location: 'uksouth' }),
      withVault({}, { identity: { ...identity(), location: 'UK South' } }),
      /^Vault kv-platform: It is in westeurope rather than in uksouth/
    ],
    [
      'the size of the key',
      request(),
      { ...READY, key: { kind: 'readable', key: keyWith({ size: 2048 }) } },
      /^Key etcd: It has 2048 bits rather than 3072/
    ],
    [
      'its expiry',
      request(),
      {
        ...READY,
        key: { kind: 'readable', key: keyWith({ version: keyDetails(keyVersion(1), { expires: NOW + 30 * DAY }) }) }
      },
      /expires on 2026-12-22/
    ],
    ['that it has no policy', rotating, READY, /no rotation policy that makes a new version every 90 days/],
    ['its policy that only notifies', rotating, policy({}), /no rotation policy that makes a new version/],
    ['its interval', rotating, policy({ rotateAfter: 'P6M' }), /every P6M rather than every 90 days/],
    ['its policy by expiry', rotating, policy({ rotateBeforeExpiry: 'P30D' }), /30 days before the expiry rather than/],
    ['that its versions expire', request(), policy({ rotateAfter: 'P90D', expiresAfter: 'P2Y' }), /expire after P2Y/],
    [
      'a condition',
      request(),
      { ...READY, grants: [{ ...grant('use-key', GROUP), conditional: true }] },
      /^Role Key Vault Crypto User: It is given under a condition/
    ]
  ])('%s', (_, asked, seen, message) => {
    expect(warnings(asked, seen)).toEqual([expect.stringMatching(message)])
  })

  function identity() {
    if (READY.identity === undefined) throw new Error('no identity')
    return READY.identity
  }

  test('public network access of a private vault', () => {
    const grants = [grant('use-key', WANTED.vaultId), grant('approve-private-endpoint', WANTED.vaultId)]
    expect(warnings(request({ networkAccess: 'Private' }), { ...READY, grants })).toEqual([
      expect.stringMatching(/takes connections from public networks/)
    ])
  })

  test('but not a policy that does what was asked for, however it is written', () => {
    for (const rotateAfter of ['P84D', 'P12W']) {
      expect(warnings(request({ rotationDays: 84 }), policy({ rotateAfter }))).toEqual([])
    }
    expect(warnings(request(), policy({ rotateAfter: 'P1Y' }))).toEqual([])
  })

  test('and every fix is a command or a choice', () => {
    const { end } = walk(rotating, withVault({ purgeProtection: false }))
    expect(end.kind === 'done' && end.findings.map(({ fix }) => fix)).toEqual([
      'Turn it on, for ever: `az keyvault update --name kv-platform --enable-purge-protection true`.',
      `Set it: \`az keyvault key rotation-policy update --vault-name kv-platform --name etcd --value '{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Rotate"}}]}'\`.`
    ])
  })
})

describe('the report', () => {
  const states = (seen: ObservedPreparation): readonly string[] =>
    preparedResources(WANTED, seen).map(({ kind, state }) => `${kind} ${state}`)

  test('tells what was made from what was there, what differs and what is missing', () => {
    expect(states(NOTHING)).toEqual(['vault missing', 'key missing', 'identity missing', 'use-key missing'])
    expect(states(READY)).toEqual(['vault was-there', 'key was-there', 'identity was-there', 'use-key was-there'])
    const made = new Map<PreparedKind, number>([['key', NOW]])
    expect(states(withVault({ purgeProtection: false }, { made, grants: [] }))).toEqual([
      'vault differs',
      'key made',
      'identity was-there',
      'use-key missing'
    ])
  })

  test('takes what was made as it was asked for, though Azure does not show all of it', () => {
    const made = new Map<PreparedKind, number>([['key', NOW]])
    expect(warnings(request({ rotationDays: 90 }), { ...READY, made })).toEqual([])
  })

  test('says what each is', () => {
    expect(preparedResources({ ...WANTED, networkAccess: 'Private', rotationDays: 90 }, NOTHING)).toMatchObject([
      {
        name: 'kv-platform',
        id: WANTED.vaultId,
        sentence: 'Key vault in westeurope: Azure RBAC, soft delete, purge protection, no public network access'
      },
      { name: 'etcd', sentence: 'RSA key of 3072 bits, a new version every 90 days' },
      { name: 'prod', id: WANTED.identityId, sentence: 'User-assigned identity in northeurope' },
      { name: 'Key Vault Crypto User', id: keyScope(WANTED) },
      { name: 'Key Vault Contributor', id: WANTED.vaultId }
    ])
    expect(preparedResources(WANTED, READY)[1]?.id).toBe(keyVersion(1).url)
  })
})

describe('the plan', () => {
  const hash = (asked: Request, seen: ObservedPreparation, now = NOW): string =>
    makePlan(asked, observed(seen, now)).plan.hash

  test('says each step', () => {
    const { plan } = makePlan(request({ networkAccess: 'Private', rotationDays: 90 }), observed(NOTHING))
    expect(plan.steps.map(({ title }) => title)).toEqual([
      'Make the key vault kv-platform in westeurope with Azure RBAC, soft delete, purge protection and no public network access',
      'Make the user-assigned identity prod in northeurope',
      'Make the RSA key etcd of 3072 bits in the vault kv-platform, of which Key Vault makes a new version every 90 days',
      'Give the identity the role Key Vault Crypto User on the key',
      'Give the identity the role Key Vault Contributor on the vault, to approve the private endpoint of AKS',
      'Wait until the new roles hold everywhere, for which Azure takes up to 10 minutes'
    ])
  })

  test('has a hash that holds until something changes', () => {
    const at = hash(request(), NOTHING)
    expect(hash(request(), NOTHING, NOW + DAY)).toBe(at)
    expect(hash(request({ keySize: 4096 }), NOTHING)).not.toBe(at)
    expect(hash(request({ vaultId: `${WANTED.vaultId}2` }), NOTHING)).not.toBe(at)
    expect(hash(request(), { ...NOTHING, vaultLocation: 'uksouth' })).not.toBe(at)
    expect(hash(request(), READY)).not.toBe(at)
    const ready = hash(request(), READY)
    expect(hash(request(), { ...READY, grants: [grant('use-key', keyScope(WANTED), NOW)] })).toBe(ready)
    expect(hash(request(), withVault({ purgeProtection: false }))).not.toBe(ready)
    expect(
      hash(request(), { ...READY, key: { kind: 'readable', key: keyWith({ version: keyDetails(keyVersion(2)) }) } })
    ).not.toBe(ready)
  })
})
