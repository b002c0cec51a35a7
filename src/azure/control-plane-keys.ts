import { ActionError } from '../errors.ts'
import { asObject, asText, type JsonObject } from '../model/json.ts'
import { parseKeyId } from '../model/key-id.ts'
import type { KeyDetails, KeyUnreadable } from '../model/key.ts'
import type { Cloud } from './clouds.ts'
import { parseServiceError, refusalToError } from './errors.ts'
import { REPAIRED_TAG, repairedAt, type KeyReader } from './key-vault.ts'
import { listAll } from './paging.ts'
import type { ArmAnswer, ResourceManager } from './resource-manager.ts'

const API_VERSION = '2026-02-01'

/**
 * The keys of one vault as Azure Resource Manager shows them: no firewall of the vault stands in the way, and only reading is possible.
 * Source: learn.microsoft.com/rest/api/keyvault/keyvault/keys
 */
export function createControlPlaneKeys(arm: ResourceManager, cloud: Cloud, vaultId: string): KeyReader {
  const versions = (keyName: string): string => `${encodeURI(vaultId)}/keys/${keyName}/versions`
  return {
    async readKey(id, signal) {
      const url = `${versions(id.name)}/${id.version}`
      const answer = await arm.send({ method: 'GET', url, apiVersion: API_VERSION, signal })
      if (answer.status === 200) return { kind: 'readable', key: keyFrom(asObject(answer.body), cloud) }
      return { kind: 'unreadable', id, ...unreadable(answer, `read the key version ${id.url}`) }
    },

    async listVersions(_vaultUrl, keyName, signal) {
      const listing = await listAll(arm, { url: versions(keyName), apiVersion: API_VERSION, signal })
      if ('items' in listing) return { kind: 'readable', versions: listing.items.map((item) => keyFrom(item, cloud)) }
      return { kind: 'unreadable', ...unreadable(listing.refusal, `list the versions of the key ${keyName}`) }
    },

    async readRotationPolicy(_vaultUrl, keyName, signal) {
      const url = `${encodeURI(vaultId)}/keys/${keyName}`
      const answer = await arm.send({ method: 'GET', url, apiVersion: API_VERSION, signal })
      if (answer.status !== 200) return undefined
      const policy = asObject(asObject(asObject(answer.body)['properties'])['rotationPolicy'])
      return { expiresAfter: asText(asObject(policy['attributes'])['expiryTime']) || undefined }
    }
  }
}

/** Throws for what is said of neither the key nor the permission on it. */
export function unreadable(
  { status, body }: ArmAnswer,
  attempt: string
): { readonly reason: Extract<KeyUnreadable, 'not-found' | 'forbidden'>; readonly message: string } {
  const said = parseServiceError(status, body)
  const error = refusalToError(said, attempt, 'azure-request-failed')
  if (status === 404) return { reason: 'not-found', message: error.message }
  // The control plane passes on what the vault says of the caller, as a bad request.
  if (status === 403 || /^(Forbidden|AccessDenied$|InvalidAuthenticationTokenTenant$)/.test(said.code))
    return { reason: 'forbidden', message: error.message }
  throw error
}

/** Source of names: Microsoft.KeyVault/vaults/keys and …/versions. */
export function keyFrom(body: JsonObject, cloud: Cloud): KeyDetails {
  const properties = asObject(body['properties'])
  const attributes = asObject(properties['attributes'])
  const keyId = asText(properties['keyUriWithVersion'])
  const id = parseKeyId(keyId, cloud.vaultSuffix)
  if (typeof id === 'string') {
    throw new ActionError(
      'azure-request-failed',
      `Azure answered with a key id that can’t be read: ${keyId || 'none'}.`
    )
  }
  const operations = properties['keyOps']
  const updated = time(attributes['updated'])
  const repaired = repairedAt(asObject(body['tags'])[REPAIRED_TAG])
  return {
    id,
    enabled: attributes['enabled'] !== false,
    created: time(attributes['created']) ?? 0,
    notBefore: time(attributes['nbf']),
    expires: time(attributes['exp']),
    ...(updated !== undefined && { updated }),
    ...(repaired !== undefined && { repaired }),
    keyType: asText(properties['kty']),
    keyOperations: Array.isArray(operations) ? operations.map(asText) : []
  }
}

/** Azure's seconds since the epoch in milliseconds. */
function time(seconds: unknown): number | undefined {
  return typeof seconds === 'number' ? seconds * 1000 : undefined
}
