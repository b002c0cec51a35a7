import { ActionError } from '../errors.ts'
import { nameOf } from '../model/arm-id.ts'
import { asObject, asObjects, asText, isJsonObject, type JsonObject } from '../model/json.ts'
import { isUsable, newestUsable } from '../model/key.ts'
import type { KeySize, RotationPolicy, VaultKey, VaultKeyObservation } from '../model/preparation.ts'
import type { Cloud } from './clouds.ts'
import { createControlPlaneKeys, keyFrom, unreadable } from './control-plane-keys.ts'
import { parseServiceError } from './errors.ts'
import { expectJson } from './expect-json.ts'
import { putIdempotently } from './idempotent-put.ts'
import type { ResourceManager } from './resource-manager.ts'
import { VAULTS_API_VERSION } from './vaults.ts'

/**
 * Keys as Azure Resource Manager has them: no firewall of the vault stands in the way, as it does of Key Vault's own API.
 * Source: learn.microsoft.com/rest/api/keyvault/keyvault/keys
 */
export interface VaultKeys {
  /** Throws ActionError for failures other than those it returns. */
  read(vaultId: string, keyName: string, now: number, signal?: AbortSignal): Promise<VaultKeyObservation>
  /**
   * Makes the first version of an RSA key that permits `encrypt` and `decrypt`; a key that is there already stays as it is. Throws
   * ActionError: `key-deleted`, and `key-forbidden` also where the roles of a new vault have not spread yet.
   */
  create(vaultId: string, key: NewKey, signal?: AbortSignal): Promise<'made' | 'was-there'>
}

export interface NewKey {
  readonly name: string
  readonly size: KeySize
  /** After how many days Key Vault makes a new version by itself; undefined: never. */
  readonly rotationDays: number | undefined
}

export function createVaultKeys(arm: ResourceManager, cloud: Cloud): VaultKeys {
  const urlOf = (vaultId: string, keyName: string): string => `${encodeURI(vaultId)}/keys/${keyName}`

  async function readAt(
    url: string,
    vaultId: string,
    keyName: string,
    signal: AbortSignal | undefined
  ): Promise<VaultKeyObservation> {
    const answer = await arm.send({ method: 'GET', url, apiVersion: VAULTS_API_VERSION, signal })
    if (answer.status === 200) return { kind: 'readable', key: vaultKeyFrom(asObject(answer.body), cloud) }
    const { reason, message } = unreadable(answer, `read the key ${keyName} of the vault ${nameOf(vaultId)}`)
    return { kind: 'unreadable', reason, message: reason === 'forbidden' ? forbidden(keyName, vaultId) : message }
  }

  const current = (vaultId: string, keyName: string, signal: AbortSignal | undefined): Promise<VaultKeyObservation> =>
    readAt(urlOf(vaultId, keyName), vaultId, keyName, signal)

  return {
    async read(vaultId, keyName, now, signal) {
      const seen = await current(vaultId, keyName, signal)
      if (seen.kind === 'unreadable' || isUsable(seen.key.version, now)) return seen
      const { vaultUrl } = seen.key.version.id
      const listed = await createControlPlaneKeys(arm, cloud, vaultId).listVersions(vaultUrl, keyName, signal)
      const newest = listed.kind === 'readable' ? newestUsable(listed.versions, now) : undefined
      if (newest === undefined) return seen
      const url = `${urlOf(vaultId, keyName)}/versions/${newest.id.version}`
      const usable = await readAt(url, vaultId, keyName, signal)
      if (usable.kind === 'unreadable') return seen
      return { kind: 'readable', key: { ...usable.key, rotationPolicy: seen.key.rotationPolicy } }
    },

    async create(vaultId, key, signal) {
      if ((await current(vaultId, key.name, signal)).kind === 'readable') return 'was-there'
      const answer = await putIdempotently(arm, {
        url: urlOf(vaultId, key.name),
        apiVersion: VAULTS_API_VERSION,
        body: { properties: newKeyProperties(key) },
        signal
      })
      const { code, message } = parseServiceError(answer.status, answer.body)
      if (code === 'ForbiddenByRbac') throw new ActionError('key-forbidden', forbidden(key.name, vaultId))
      if (/deleted but recoverable/i.test(message)) {
        throw new ActionError('key-deleted', message, {
          fix: `Recover it: \`az keyvault key recover --vault-name ${nameOf(vaultId)} --name ${key.name}\`; or name another one.`
        })
      }
      expectJson(answer, `make the key ${key.name} in the vault ${nameOf(vaultId)}`, 'azure-request-failed')
      return 'made'
    }
  }
}

/** A policy that only makes new versions: AKS stays on the version that it was given, so that an expiry would bring it down. */
function newKeyProperties({ size, rotationDays }: NewKey): JsonObject {
  const rotation = { trigger: { timeAfterCreate: `P${String(rotationDays)}D` }, action: { type: 'rotate' } }
  return {
    kty: 'RSA',
    keySize: size,
    keyOps: ['encrypt', 'decrypt'],
    ...(rotationDays === undefined ? {} : { rotationPolicy: { lifetimeActions: [rotation] } })
  }
}

function vaultKeyFrom(body: JsonObject, cloud: Cloud): VaultKey {
  const { keySize, rotationPolicy } = asObject(body['properties'])
  return {
    version: keyFrom(body, cloud),
    size: typeof keySize === 'number' ? keySize : undefined,
    rotationPolicy: policyFrom(rotationPolicy)
  }
}

function policyFrom(value: unknown): RotationPolicy | undefined {
  if (!isJsonObject(value)) return undefined
  const rotation = asObjects(value['lifetimeActions']).find(
    (action) => asText(asObject(action['action'])['type']).toLowerCase() === 'rotate'
  )
  const trigger = asObject(rotation?.['trigger'])
  return {
    rotateAfter: asText(trigger['timeAfterCreate']) || undefined,
    rotateBeforeExpiry: asText(trigger['timeBeforeExpiry']) || undefined,
    expiresAfter: asText(asObject(value['attributes'])['expiryTime']) || undefined
  }
}

function forbidden(keyName: string, vaultId: string): string {
  return `The identity of this workflow may not read the key ${keyName} of the vault ${nameOf(vaultId)} through Azure Resource Manager. Roles may take some minutes until they hold at a new vault.`
}
