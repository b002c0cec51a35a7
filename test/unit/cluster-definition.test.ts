import { describe, expect, test } from '@jest/globals'
import { parseClusterDefinition, type DefinedBeside } from '../../src/cluster-definition.ts'
import type { JsonObject } from '../../src/model/json.ts'
import { keyVersion, kmsOn, vaultWith } from '../fixtures/observed.ts'

const IDENTITY =
  '/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/control-plane'
const KMS = kmsOn(keyVersion(1))
const PRIVATE = { ...KMS, networkAccess: 'Private', vaultResourceId: vaultWith().id } as const
const INPUTS: DefinedBeside = { clusterName: 'prod', identityId: IDENTITY, kms: KMS }
const LEAST: JsonObject = { location: 'westeurope', properties: {} }

function parse(body: unknown, inputs: Partial<DefinedBeside> = {}): JsonObject {
  return parseClusterDefinition(typeof body === 'string' ? body : JSON.stringify(body), { ...INPUTS, ...inputs })
}

function kms(profile: JsonObject): JsonObject {
  return { ...LEAST, properties: { securityProfile: { azureKeyVaultKms: profile } } }
}

function identity(type: string, ...ids: readonly string[]): JsonObject {
  const userAssignedIdentities = Object.fromEntries(ids.map((id) => [id, {}]))
  return { ...LEAST, identity: { type, ...(ids.length > 0 ? { userAssignedIdentities } : {}) } }
}

describe('is taken', () => {
  test('as it came, with the identity of the input', () => {
    const body = { ...LEAST, tags: { a: 'b' }, properties: { unknownToUs: [1, { deep: null }] } }
    expect(parse(body)).toEqual({ ...body, identity: identity('UserAssigned', IDENTITY)['identity'] })
  })

  test('with an identity of its own, which the input may name too', () => {
    const body = identity('UserAssigned', IDENTITY)
    expect(parse(body, { identityId: undefined })).toEqual(body)
    expect(parse(body, { identityId: IDENTITY.toUpperCase() })).toEqual(body)
  })

  test.each<[string, JsonObject, DefinedBeside['kms']]>([
    ['Public', { enabled: true, keyId: KMS.keyId.toUpperCase(), keyVaultNetworkAccess: 'Public' }, KMS],
    ['Public as Azure shows it', { keyVaultResourceId: '', keyId: KMS.keyId }, KMS],
    ['Private', { keyVaultNetworkAccess: 'Private', keyVaultResourceId: PRIVATE.vaultResourceId }, PRIVATE]
  ])('with a KMS profile that says the same as the inputs: %s', (_name, profile, wanted) => {
    expect(() => parse(kms(profile), { kms: wanted })).not.toThrow()
  })

  test('with the name of the cluster', () => {
    expect(() => parse({ ...LEAST, name: 'PROD' })).not.toThrow()
  })
})

describe('is refused', () => {
  test('where there is none', () => {
    expect(() => parse('')).toThrow(expect.objectContaining({ code: 'input-missing' }))
  })

  test.each<[string, unknown, RegExp, Partial<DefinedBeside>]>([
    ['YAML', 'location: westeurope\nproperties: {}\n', /It is not JSON\./, {}],
    ['broken JSON', '{\n  "location" "x"\n}', /It is not JSON \(line 2 column 14\)/, {}],
    ['a list', [LEAST], /no object/, {}],
    ['a text', '"x"', /no object/, {}],
    ['the form of the CLI', { location: 'x', agentPoolProfiles: [] }, /no `properties`.*`az aks show`/, {}],
    ['no location', { properties: {} }, /no `location`/, {}],
    ['another name', { ...LEAST, name: 'dev' }, /name is “dev”, but cluster-name is “prod”/, {}],
    ['no identity', LEAST, /identity-resource-id/, { identityId: undefined }],
    ['a system-assigned identity', identity('SystemAssigned'), /user-assigned/, {}],
    ['both kinds', identity('SystemAssigned, UserAssigned', IDENTITY), /user-assigned/, {}],
    ['two identities', identity('UserAssigned', IDENTITY, `${IDENTITY}2`), /exactly one/, {}],
    ['another identity', identity('UserAssigned', `${IDENTITY}2`), /but identity-resource-id is/, {}],
    ['KMS off', kms({ enabled: false }), /enabled: false/, {}],
    ['another key', kms({ keyId: keyVersion(2).url }), /azureKeyVaultKms\.keyId is .* but key-id is/, {}],
    ['another mode', kms({ keyVaultNetworkAccess: 'Private' }), /but key-vault-network-access is “Public”/, {}],
    ['a vault’s id with Public', kms({ keyVaultResourceId: '/x' }), /key-vault-resource-id is not set/, {}],
    ['another vault', kms({ keyVaultResourceId: '/x' }), /but key-vault-resource-id is “\/sub/, { kms: PRIVATE }]
  ])('%s', (_name, body, sentence, inputs) => {
    expect(() => parse(body, inputs)).toThrow(
      expect.objectContaining({ code: 'cluster-definition-invalid', message: expect.stringMatching(sentence) })
    )
  })

  test('without a word of what it holds: there may be passwords in it', () => {
    expect(() => parse('{"adminPassword": canary-1234}')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('canary') })
    )
  })
})
