import { attributes } from './key-vault-data.ts'
import { armFault, isUnder, resourceNotFound, type ArmCall, type ArmRoute } from './resource-manager.ts'
import { createKeyVersion } from './key-versions.ts'
import { listAt, objectAt, textAt, type JsonObject } from './json.ts'
import type { KeyType, KeyVersionState } from './key-versions.ts'
import type { Permissions } from './role-assignments.ts'
import type { WireAnswer } from '../network.ts'
import { recoveryOf, type Vault, type Vaults } from './vaults.ts'

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

  const withKeys = (
    handle: (vault: Vault, versions: readonly KeyVersionState[], call: ArmCall) => WireAnswer
  ): ArmRoute['handle'] =>
    withVault((vault, call) => {
      const { key = '' } = call.parameters
      const rbac = vault.properties['enableRbacAuthorization'] === true
      const dataAction = 'Microsoft.KeyVault/vaults/keys/read'
      if (rbac && !permissions.allowsData(call.caller.objectId, dataAction, `${vault.id}/keys/${key}`)) {
        return armFault(
          400,
          'ForbiddenByRbac',
          `Caller is not authorized to perform action on resource.\r\nCaller: appid=${call.caller.applicationId};oid=${call.caller.objectId}\r\nAction: '${dataAction}'\r\nResource: '${vault.id.toLowerCase()}/keys/${key}'`
        )
      }
      const living = vault.keys.get(key.toLowerCase())
      if (living === undefined || living.deleted !== undefined || living.versions.length === 0) {
        return armFault(404, 'KeyNotFound', `A key with (name/id) ${key} was not found in this key vault.`)
      }
      return handle(vault, living.versions, call)
    })

  const createKey = withVault(async (vault, { parameters, body }) => {
    const { key = '' } = parameters
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
    vault.keys.set(key.toLowerCase(), { name: key, versions: [made], rotationPolicy: undefined, deleted: undefined })
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
      return armFault(409, 'VaultAlreadyExists', `The vault name '${name}' is already in use.`)
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
      properties
    })
    const shown = showVault(made)
    return {
      status: 200,
      body: {
        ...shown,
        properties: { ...objectAt(shown, 'properties'), vaultUri: made.url, provisioningState: 'RegisteringDns' }
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

function showVault({ id, name, location, tags, properties }: Vault): JsonObject {
  return { id, name, type: TYPE, location, tags, properties }
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
      keyUri: `${vault.url}/keys/${name}`,
      keyUriWithVersion: version.id
    }
  }
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
