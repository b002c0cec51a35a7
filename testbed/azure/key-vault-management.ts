import { attributes } from './key-vault-data.ts'
import { armFault, isUnder, resourceNotFound, sameId, type ArmCall, type ArmRoute } from './resource-manager.ts'
import { createKeyVersion } from './key-versions.ts'
import { listAt, objectAt, replaceAt, textAt, type JsonObject } from './json.ts'
import type { KeyType, KeyVersionState } from './key-versions.ts'
import type { Permissions } from './role-assignments.ts'
import type { WireAnswer } from '../network.ts'
import { newKey, recoveryOf, type Vault, type Vaults } from './vaults.ts'

const TYPE = 'Microsoft.KeyVault/vaults'
const PATH = `/subscriptions/{subscription}/resourceGroups/{group}/providers/${TYPE}`

/** The version of the API from which a new vault takes Azure RBAC unless told otherwise. */
const RBAC_BY_DEFAULT = '2026-02-01'

/** Vaults as ARM resources, and the keys API of the control plane, which no vault's firewall stops. */
export function keyVaultRoutes(options: {
  readonly vaults: Vaults
  readonly permissions: Permissions
  readonly resourceGroups: { exists(subscriptionId: string, name: string): boolean }
}): readonly ArmRoute[] {
  const { vaults, permissions, resourceGroups } = options

  const withVault =
    (handle: (vault: Vault, call: ArmCall) => WireAnswer | Promise<WireAnswer>): ArmRoute['handle'] =>
    (call) => {
      const { subscription = '', group = '', vault: name = '' } = call.parameters
      const vault = vaults.byId(`/subscriptions/${subscription}/resourceGroups/${group}/providers/${TYPE}/${name}`)
      return vault === undefined ? resourceNotFound(TYPE, name, group) : handle(vault, call)
    }

  /** What Key Vault says of a caller whose roles it does not know; undefined where the caller may read the key. */
  const refuseReader = (vault: Vault, { caller, parameters }: ArmCall): WireAnswer | undefined => {
    const { key = '' } = parameters
    const rbac = vault.properties['enableRbacAuthorization'] === true
    const dataAction = 'Microsoft.KeyVault/vaults/keys/read'
    if (!rbac || permissions.allowsData(caller.objectId, dataAction, `${vault.id}/keys/${key}`)) return undefined
    return armFault(
      400,
      'ForbiddenByRbac',
      `Caller is not authorized to perform action on resource.\r\nCaller: appid=${caller.applicationId};oid=${caller.objectId}\r\nAction: '${dataAction}'\r\nResource: '${vault.id.toLowerCase()}/keys/${key}'`
    )
  }

  const withKeys = (
    handle: (vault: Vault, versions: readonly KeyVersionState[], call: ArmCall) => WireAnswer
  ): ArmRoute['handle'] =>
    withVault((vault, call) => {
      const { key = '' } = call.parameters
      const refusal = refuseReader(vault, call)
      if (refusal !== undefined) return refusal
      const living = vault.keys.get(key.toLowerCase())
      if (living === undefined || living.deleted !== undefined || living.versions.length === 0) {
        return armFault(404, 'KeyNotFound', `A key with (name/id) ${key} was not found in this key vault.`)
      }
      return handle(vault, living.versions, call)
    })

  const createKey = withVault(async (vault, call) => {
    const { parameters, body } = call
    const { key = '' } = parameters
    // It looks whether the key is there first.
    const refusal = refuseReader(vault, call)
    if (refusal !== undefined) return refusal
    if (vault.keys.get(key.toLowerCase())?.deleted !== undefined) {
      return armFault(
        409,
        'Conflict',
        `Key ${key} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.`
      )
    }
    const existing = vault.versions(key).at(-1)
    // The control plane makes a key that is not there yet, and never a further version.
    if (existing !== undefined) return { status: 200, body: showKey(vault, key, existing) }
    const properties = objectAt(body, 'properties')
    const { enabled, exp, nbf } = objectAt(properties, 'attributes')
    const operations = listAt(properties, 'keyOps').map(String)
    const made = await createKeyVersion(`${vault.url}/keys/${key}`, {
      type: textAt(properties, 'kty') as KeyType,
      ...(typeof properties['keySize'] === 'number' ? { size: properties['keySize'] } : {}),
      ...(operations.length > 0 ? { operations } : {}),
      ...(typeof enabled === 'boolean' ? { enabled } : {}),
      ...(typeof exp === 'number' ? { expires: exp } : {}),
      ...(typeof nbf === 'number' ? { notBefore: nbf } : {})
    })
    const policy = objectAt(properties, 'rotationPolicy')
    const rotationPolicy = policy['lifetimeActions'] === undefined ? undefined : withActions(policy, capitalized)
    vault.keys.set(key.toLowerCase(), { ...newKey(key), versions: [made], rotationPolicy })
    return { status: 200, body: showKey(vault, key, made) }
  })

  const putVault: ArmRoute['handle'] = ({ parameters, resourceId, apiVersion, caller, body }) => {
    const { subscription = '', group = '', vault: name = '' } = parameters
    if (!resourceGroups.exists(subscription, group)) {
      return armFault(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`)
    }
    if (!/^[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$/.test(name)) {
      return armFault(400, 'VaultNameNotValid', `The vault name '${name}' is invalid.`)
    }
    const properties = objectAt(body, 'properties')
    const existing = vaults.byId(resourceId)
    if (existing === undefined && vaults.byName(name) !== undefined) {
      return armFault(
        409,
        'VaultAlreadyExists',
        `The vault name '${name}' is already in use. Vault names are globaly unique so it is possible that the name is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but not purged after being placed in a recoverable state. If the vault is in a recoverable state then the vault will need to be purged before reusing the name. For more information on soft delete and purging a vault follow this link https://go.microsoft.com/fwlink/?linkid=2147740.`
      )
    }
    if (vaults.deleted.some((deleted) => sameId(deleted.name, name))) {
      return armFault(
        409,
        'ConflictError',
        'A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.'
      )
    }
    if (existing?.properties['enablePurgeProtection'] === true && properties['enablePurgeProtection'] === false) {
      return purgeProtectionStays()
    }
    const tags = objectAt(body, 'tags')
    if (existing !== undefined) {
      const { privateEndpointConnections, enablePurgeProtection, ...rest } = existing.properties
      existing.properties = {
        ...defaultsOf(rest),
        ...(privateEndpointConnections === undefined ? {} : { privateEndpointConnections }),
        ...(enablePurgeProtection === undefined ? {} : { enablePurgeProtection }),
        ...properties,
        vaultUri: `${existing.url}/`,
        provisioningState: 'Succeeded'
      }
      existing.tags = tags
      return { status: 200, body: showVault(existing) }
    }
    const { enableRbacAuthorization } = properties
    const made = vaults.add({
      id: resourceId,
      location: textAt(body, 'location'),
      tenantId: textAt(properties, 'tenantId') || caller.tenantId,
      tags,
      rbac: typeof enableRbacAuthorization === 'boolean' ? enableRbacAuthorization : apiVersion >= RBAC_BY_DEFAULT,
      properties,
      createdAt: Date.now()
    })
    return { status: 200, body: showVault(made) }
  }

  /** Adds to what is there: no policy of anybody else is touched. */
  const addPolicies = withVault((vault, { body }) => {
    const policies = [...listAt(vault.properties, 'accessPolicies')]
    for (const added of listAt(objectAt(body, 'properties'), 'accessPolicies')) {
      const index = policies.findIndex((policy) => textAt(policy, 'objectId') === textAt(added, 'objectId'))
      const keys = [...listAt(policies[index], 'permissions', 'keys'), ...listAt(added, 'permissions', 'keys')]
      const permissions = { ...objectAt(policies[index], 'permissions'), keys: [...new Set(keys)] }
      policies.splice(index < 0 ? policies.length : index, 1, { ...objectAt(added), permissions })
    }
    vault.setProperties({ accessPolicies: policies })
    return { status: 200, body: { id: `${vault.id}/accessPolicies/`, properties: { accessPolicies: policies } } }
  })

  const showDeleted: ArmRoute['handle'] = ({ parameters }) => {
    const { subscription = '', location = '', vault: name = '' } = parameters
    const found = vaults.deleted.find(
      (vault) =>
        sameId(vault.name, name) &&
        sameId(vault.location, location) &&
        isUnder(vault.id, `/subscriptions/${subscription}`)
    )
    if (found === undefined) {
      return armFault(404, 'DeletedVaultNotFound', `The specified deleted vault '${name}' does not exist.`)
    }
    return {
      status: 200,
      body: {
        id: `/subscriptions/${subscription}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${name}`,
        name: found.name,
        type: 'Microsoft.KeyVault/deletedVaults',
        properties: { vaultId: found.id, location: found.location, tags: found.tags }
      }
    }
  }

  const patchVault = withVault((vault, { body }) => {
    const changes = objectAt(body, 'properties')
    if (vault.properties['enablePurgeProtection'] === true && changes['enablePurgeProtection'] === false) {
      return purgeProtectionStays()
    }
    vault.setProperties(changes)
    if (body['tags'] !== undefined) vault.tags = objectAt(body, 'tags')
    return { status: 200, body: showVault(vault) }
  })

  const read = 'Microsoft.KeyVault/vaults/read'
  /** Of all resources in a subscription: the vaults that the caller may read. */
  const list: ArmRoute['handle'] = ({ request, caller, parameters }) => {
    const filter = request.query.get('$filter') ?? ''
    const wanted = (property: string): string | undefined =>
      new RegExp(`${property} eq '([^']*)'`, 'i').exec(filter)?.[1]?.toLowerCase()
    const type = wanted('resourceType') ?? TYPE.toLowerCase()
    const name = wanted('name')
    const value = vaults.all
      .filter((vault) => type === TYPE.toLowerCase() && (name ?? vault.name.toLowerCase()) === vault.name.toLowerCase())
      .filter(({ id }) => isUnder(id, `/subscriptions/${parameters['subscription'] ?? ''}`))
      .filter(({ id }) => permissions.allows(caller.objectId, read, id))
      .map(({ id, name: found, location }) => ({ id, name: found, type: TYPE, location }))
    return { status: 200, body: { value } }
  }
  const write = 'Microsoft.KeyVault/vaults/write'
  const readKeys = 'Microsoft.KeyVault/vaults/keys/read'
  const readVersions = 'Microsoft.KeyVault/vaults/keys/versions/read'
  return [
    { method: 'GET', path: '/subscriptions/{subscription}/resources', handle: list },
    {
      method: 'GET',
      path: '/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}',
      action: 'Microsoft.KeyVault/locations/deletedVaults/read',
      handle: showDeleted
    },
    {
      method: 'PUT',
      path: `${PATH}/{vault}/accessPolicies/add`,
      action: 'Microsoft.KeyVault/vaults/accessPolicies/write',
      handle: addPolicies
    },
    {
      method: 'GET',
      path: `${PATH}/{vault}`,
      action: read,
      handle: withVault((vault) => ({ status: 200, body: showVault(vault) }))
    },
    { method: 'PUT', path: `${PATH}/{vault}`, action: write, handle: putVault },
    { method: 'PATCH', path: `${PATH}/{vault}`, action: write, handle: patchVault },
    {
      method: 'GET',
      path: `${PATH}/{vault}/keys/{key}`,
      action: readKeys,
      handle: withKeys((vault, versions, { parameters }) => {
        const current = versions.at(-1)
        return { status: 200, body: current && showKey(vault, parameters['key'] ?? '', current) }
      })
    },
    {
      method: 'GET',
      path: `${PATH}/{vault}/keys/{key}/versions`,
      action: readVersions,
      handle: withKeys((vault, versions, { parameters }) => ({
        status: 200,
        body: {
          value: [...versions]
            .sort((a, b) => (a.version < b.version ? -1 : 1))
            .map((version) => showVersion(vault, parameters['key'] ?? '', version))
        }
      }))
    },
    {
      method: 'GET',
      path: `${PATH}/{vault}/keys/{key}/versions/{version}`,
      action: readVersions,
      handle: withKeys((vault, versions, { parameters }) => {
        const { key = '', version = '' } = parameters
        const found = versions.find((one) => one.version === version.toLowerCase())
        if (found !== undefined) return { status: 200, body: showVersion(vault, key, found) }
        return armFault(404, 'KeyNotFound', `A key with (name/id) ${key}/${version} was not found in this key vault.`)
      })
    },
    {
      method: 'PUT',
      path: `${PATH}/{vault}/keys/{key}`,
      action: 'Microsoft.KeyVault/vaults/keys/write',
      handle: createKey
    }
  ]
}

function showVault({ id, name, location, tags, url, properties, createdAt, registeredAt }: Vault): JsonObject {
  const registering = Date.now() < registeredAt ? { vaultUri: url, provisioningState: 'RegisteringDns' } : {}
  const systemData = { createdAt: new Date(createdAt).toISOString() }
  return { id, name, type: TYPE, location, tags, systemData, properties: { ...properties, ...registering } }
}

function showKey(vault: Vault, name: string, version: KeyVersionState): JsonObject {
  return { id: `${vault.id}/keys/${name}`, name, ...keyBody(vault, name, version, `${TYPE}/keys`) }
}

function showVersion(vault: Vault, name: string, version: KeyVersionState): JsonObject {
  return {
    id: `${vault.id}/keys/${name}/versions/${version.version}`,
    name: version.version,
    ...keyBody(vault, name, version, `${TYPE}/keys/versions`)
  }
}

function keyBody(vault: Vault, name: string, version: KeyVersionState, type: string): JsonObject {
  const { enabled = true, created = 0, updated = 0, exp, nbf } = attributes(vault, version)
  return {
    type,
    location: vault.location,
    tags: version.tags,
    properties: {
      attributes: {
        enabled,
        ...(nbf === undefined ? {} : { nbf }),
        ...(exp === undefined ? {} : { exp }),
        created,
        updated,
        recoveryLevel: recoveryOf(vault).recoveryLevel,
        exportable: false
      },
      kty: version.type,
      keyOps: version.operations,
      ...(version.size === undefined ? { curveName: 'P-256' } : { keySize: version.size }),
      ...rotationPolicyOf(vault, name),
      keyUri: `${vault.url}/keys/${name}`,
      keyUriWithVersion: version.id
    }
  }
}

function rotationPolicyOf(vault: Vault, name: string): JsonObject {
  const policy = vault.keys.get(name.toLowerCase())?.rotationPolicy
  return policy === undefined ? {} : { rotationPolicy: withActions(policy, (type) => type.toLowerCase()) }
}

/** `rotate` here is `Rotate` in Key Vault's own API. */
function withActions(policy: JsonObject, spell: (type: string) => string): JsonObject {
  const lifetimeActions = listAt(policy, 'lifetimeActions').map((action) =>
    replaceAt(objectAt(action), ['action', 'type'], spell(textAt(action, 'action', 'type')))
  )
  return { ...policy, lifetimeActions }
}

function capitalized(type: string): string {
  return `${type.slice(0, 1).toUpperCase()}${type.slice(1).toLowerCase()}`
}

function purgeProtectionStays(): WireAnswer {
  return armFault(
    400,
    'BadRequest',
    'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.'
  )
}

/** What a PUT falls back to where it doesn't say; the rest of a vault stands only as long as it is sent. */
function defaultsOf({ sku, tenantId, softDeleteRetentionInDays, enableRbacAuthorization }: JsonObject): JsonObject {
  return {
    ...(sku === undefined ? {} : { sku }),
    ...(tenantId === undefined ? {} : { tenantId }),
    accessPolicies: [],
    enabledForDeployment: false,
    enableSoftDelete: true,
    softDeleteRetentionInDays: softDeleteRetentionInDays ?? 90,
    enableRbacAuthorization: enableRbacAuthorization ?? false,
    publicNetworkAccess: 'Enabled'
  }
}
