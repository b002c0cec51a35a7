import { ActionError } from '../errors.ts'
import { groupOf, nameOf } from '../model/arm-id.ts'
import { asObject, asObjects, asText, type JsonObject } from '../model/json.ts'
import type { AccessPolicy, Vault, VaultObservation } from '../model/vault.ts'
import type { Cloud } from './clouds.ts'
import { createControlPlaneKeys } from './control-plane-keys.ts'
import { parseServiceError, refusalToError } from './errors.ts'
import { expectJson } from './expect-json.ts'
import { putIdempotently } from './idempotent-put.ts'
import type { KeyReader } from './key-vault.ts'
import type { ArmAnswer, ResourceManager } from './resource-manager.ts'

/** Stable, and older than the retirement of all versions before 2026-02-01. Source: learn.microsoft.com/azure/key-vault/general/access-control-default */
export const VAULTS_API_VERSION = '2026-02-01'
/** Of Microsoft.Resources, which finds a resource by its name. */
const RESOURCES_API_VERSION = '2021-04-01'

/** Vaults as Azure Resource Manager has them: no firewall of theirs stands in the way. */
export interface Vaults {
  /** By ARM id. */
  read(id: string, signal?: AbortSignal): Promise<VaultObservation>
  /** By name, within the subscription and as far as the identity may see it. */
  find(name: string, signal?: AbortSignal): Promise<VaultObservation>
  /** The keys of the vault with this ARM id. */
  keysOf(id: string): KeyReader
  /** Opens the vault to public networks or closes it. Throws ActionError. */
  setPublicNetworkAccess(id: string, access: Vault['publicNetworkAccess'], signal?: AbortSignal): Promise<void>
  /** Where a deleted vault of this name was, which can be recovered; undefined where none is seen in this location. */
  findDeleted(id: string, location: string, signal?: AbortSignal): Promise<string | undefined>
  /**
   * Makes a vault with Azure RBAC, soft delete and purge protection; one that is there already stays as it is. Throws ActionError:
   * `vault-deleted`, `vault-name-taken`.
   */
  create(id: string, vault: NewVault, signal?: AbortSignal): Promise<'made' | 'was-there'>
  /** Adds to what a principal may do with the keys of a vault without Azure RBAC. Throws ActionError. */
  addAccessPolicy(id: string, policy: AccessPolicy & { readonly tenantId: string }, signal?: AbortSignal): Promise<void>
}

export interface NewVault {
  readonly location: string
  readonly tenantId: string
  readonly publicNetworkAccess: Vault['publicNetworkAccess']
}

export function createVaults(arm: ResourceManager, cloud: Cloud, subscriptionId: string): Vaults {
  const read = async (id: string, signal?: AbortSignal): Promise<VaultObservation> => {
    const answer = await arm.send({ method: 'GET', url: encodeURI(id), apiVersion: VAULTS_API_VERSION, signal })
    if (answer.status === 404 || answer.status === 403 || isOfOtherTenant(answer)) return unreadable(answer, id)
    return {
      kind: 'readable',
      vault: vaultFrom(expectJson(answer, `read the vault ${id}`, 'azure-request-failed'), cloud)
    }
  }
  return {
    read,

    keysOf: (id) => createControlPlaneKeys(arm, cloud, id),

    async find(name, signal) {
      const filter = encodeURIComponent(`resourceType eq 'Microsoft.KeyVault/vaults' and name eq '${name}'`)
      const url = `/subscriptions/${subscriptionId}/resources?$filter=${filter}`
      const answer = await arm.send({ method: 'GET', url, apiVersion: RESOURCES_API_VERSION, signal })
      // Who may read nothing in the subscription is refused in place of shown an empty list.
      const { value } =
        answer.status === 403 ? {} : expectJson(answer, `find the vault ${name}`, 'azure-request-failed')
      const [found] = asObjects(value)
      if (typeof found?.['id'] === 'string') return await read(found['id'], signal)
      const message = `No vault ${name} is visible to this identity in the subscription ${subscriptionId}.`
      return { kind: 'unreadable', reason: 'not-found', message }
    },

    async setPublicNetworkAccess(id, access, signal) {
      const body = { properties: { publicNetworkAccess: access } }
      const answer = await arm.send({
        method: 'PATCH',
        url: encodeURI(id),
        apiVersion: VAULTS_API_VERSION,
        body,
        signal
      })
      expectJson(answer, `set the public network access of the vault ${id}`, 'azure-request-failed')
    },

    async findDeleted(id, location, signal) {
      const { subscriptionId: subscription } = groupOf(id)
      const url = `/subscriptions/${subscription}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${nameOf(id)}`
      const answer = await arm.send({ method: 'GET', url, apiVersion: VAULTS_API_VERSION, signal })
      if (answer.status !== 200) return undefined
      return asText(asObject(asObject(answer.body)['properties'])['location']) || location
    },

    async create(id, { location, tenantId, publicNetworkAccess }, signal) {
      // A PUT would change one that somebody else has made meanwhile.
      if ((await read(id, signal)).kind === 'readable') return 'was-there'
      const properties = {
        tenantId,
        sku: { family: 'A', name: 'standard' },
        enableRbacAuthorization: true,
        enableSoftDelete: true,
        softDeleteRetentionInDays: 90,
        enablePurgeProtection: true,
        publicNetworkAccess,
        accessPolicies: []
      }
      const answer = await putIdempotently(arm, {
        url: encodeURI(id),
        apiVersion: VAULTS_API_VERSION,
        body: { location, properties },
        signal
      })
      const { code, message } = parseServiceError(answer.status, answer.body)
      if (code === 'ConflictError' || code === 'VaultAlreadyExists') {
        throw new ActionError(
          /in deleted state/i.test(message) ? 'vault-deleted' : 'vault-name-taken',
          `Could not make the vault ${nameOf(id)}: ${message}`
        )
      }
      expectJson(answer, `make the vault ${nameOf(id)}`, 'azure-request-failed')
      return 'made'
    },

    async addAccessPolicy(id, { tenantId, objectId, keys }, signal) {
      const answer = await putIdempotently(arm, {
        url: `${encodeURI(id)}/accessPolicies/add`,
        apiVersion: VAULTS_API_VERSION,
        body: { properties: { accessPolicies: [{ tenantId, objectId, permissions: { keys } }] } },
        signal
      })
      expectJson(answer, `add an access policy to the vault ${nameOf(id)}`, 'azure-request-failed')
    }
  }
}

function unreadable(answer: ArmAnswer, id: string): VaultObservation {
  const error = parseServiceError(answer.status, answer.body)
  const { message } = refusalToError(error, `read the vault ${id}`, 'azure-request-failed') satisfies Pick<
    ActionError,
    'message'
  >
  const reason = isOfOtherTenant(answer) ? 'other-tenant' : answer.status === 404 ? 'not-found' : 'forbidden'
  return { kind: 'unreadable', reason, message }
}

/** Resource Manager takes a tenant's token for that tenant's subscriptions only. */
function isOfOtherTenant({ status, body }: ArmAnswer): boolean {
  return parseServiceError(status, body).code === 'InvalidAuthenticationTokenTenant'
}

/** Source of names: Microsoft.KeyVault/vaults. */
export function vaultFrom(body: JsonObject, cloud: Cloud): Vault {
  const properties = asObject(body['properties'])
  const name = asText(body['name'])
  return {
    id: asText(body['id']),
    name,
    url: asText(properties['vaultUri']).replace(/\/$/, '') || `https://${name.toLowerCase()}.${cloud.vaultSuffix}`,
    location: asText(body['location']),
    tenantId: asText(properties['tenantId']),
    rbac: properties['enableRbacAuthorization'] === true,
    // Azure shows it as absent where it is on by default.
    softDelete: properties['enableSoftDelete'] !== false,
    purgeProtection: properties['enablePurgeProtection'] === true,
    publicNetworkAccess:
      asText(properties['publicNetworkAccess']).toLowerCase() === 'enabled' ||
      properties['publicNetworkAccess'] === undefined
        ? 'Enabled'
        : 'Disabled',
    selectedNetworks: asText(asObject(properties['networkAcls'])['defaultAction']).toLowerCase() === 'deny',
    accessPolicies: asObjects(properties['accessPolicies']).map(policyFrom),
    createdAt: Date.parse(asText(asObject(body['systemData'])['createdAt'])) || undefined,
    provisioned: asText(properties['provisioningState']) !== 'RegisteringDns'
  }
}

function policyFrom(policy: JsonObject): AccessPolicy {
  const keys = asObject(policy['permissions'])['keys']
  return {
    objectId: asText(policy['objectId']),
    keys: Array.isArray(keys) ? keys.map((key: unknown) => asText(key).toLowerCase()) : []
  }
}
