import { ActionError } from './errors.ts'
import { asObject, asText, isJsonObject, type Json, type JsonObject } from './model/json.ts'
import type { KmsOn } from './model/kms-profile.ts'

/** What the inputs say of a cluster beside its definition. */
export interface DefinedBeside {
  readonly clusterName: string | undefined
  /** ARM id of the control plane's identity; undefined where the definition has to name it. */
  readonly identityId: string | undefined
  readonly kms: KmsOn
}

/**
 * Reads the body of a managed cluster that is to be created: as it came, with the identity of the inputs. Throws ActionError
 * `cluster-definition-invalid` where it is no such body, or says otherwise than the inputs. Its values are not quoted beyond those: it
 * may hold passwords.
 */
export function parseClusterDefinition(text: string, inputs: DefinedBeside): JsonObject {
  if (text === '') throw new ActionError('input-missing', 'The input cluster-definition is missing. `create` needs it.')
  const body = parseObject(text)
  if (!isJsonObject(body['properties'])) {
    throw invalid(
      'It has no `properties`: everything but location, identity, sku and tags belongs in there. `az aks show` prints clusters in another form.'
    )
  }
  if (asText(body['location']) === '') throw invalid('It has no `location`.')
  agree('name', body['name'], inputs.clusterName ?? '', 'cluster-name')
  checkKms(asObject(asObject(body['properties']['securityProfile'])['azureKeyVaultKms']), inputs.kms)
  return { ...body, identity: identityOf(body['identity'], inputs.identityId) }
}

function parseObject(text: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    // The rest of the message would quote the text.
    const [, where = ''] = /( \(line \d+ column \d+\))/.exec(error instanceof Error ? error.message : '') ?? []
    throw invalid(`It is not JSON${where}.`)
  }
  if (isJsonObject(value)) return value
  throw invalid('It is JSON, but no object.')
}

/** KMS needs a user-assigned identity, and takes one alone. */
function identityOf(present: Json | undefined, wanted: string | undefined): JsonObject {
  const identity = asObject(present)
  const ids = Object.keys(asObject(identity['userAssignedIdentities']))
  if (present === undefined && wanted !== undefined) {
    return { type: 'UserAssigned', userAssignedIdentities: { [wanted]: {} } }
  }
  const [id] = ids
  if (asText(identity['type']).toLowerCase() !== 'userassigned' || id === undefined || ids.length > 1) {
    throw invalid(
      'It has not exactly one user-assigned identity, which KMS etcd encryption needs: name it in `identity`, or leave that out and set identity-resource-id.'
    )
  }
  agree('identity', id, wanted ?? id, 'identity-resource-id')
  return identity
}

/** The inputs make the KMS profile; a definition that has one too must not say otherwise. */
function checkKms(present: JsonObject, kms: KmsOn): void {
  if (present['enabled'] === false) throw invalid('Its azureKeyVaultKms says `enabled: false`.')
  agree('azureKeyVaultKms.keyId', present['keyId'], kms.keyId, 'key-id')
  const { networkAccess, vaultResourceId = '' } = kms
  agree(
    'azureKeyVaultKms.keyVaultNetworkAccess',
    present['keyVaultNetworkAccess'],
    networkAccess,
    'key-vault-network-access'
  )
  agree('azureKeyVaultKms.keyVaultResourceId', present['keyVaultResourceId'], vaultResourceId, 'key-vault-resource-id')
}

/** What is absent or empty contradicts nothing. Azure compares all of these without case. */
function agree(property: string, present: unknown, wanted: string, input: string): void {
  const said = asText(present)
  if (said === '' || said.toLowerCase() === wanted.toLowerCase()) return
  throw invalid(
    `Its ${property} is “${said}”, but ${input} is ${wanted === '' ? 'not set' : `“${wanted}”`}. Leave it out of the definition, or let both say the same.`
  )
}

function invalid(problem: string): ActionError {
  return new ActionError('cluster-definition-invalid', `The input cluster-definition can’t be used. ${problem}`)
}
