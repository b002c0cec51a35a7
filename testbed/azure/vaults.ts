import type { BedCloud } from './clouds.ts'
import { issuerOf, type Principal } from './entra.ts'
import { listAt, objectAt, replaceAt, textAt, type Json, type JsonObject } from './json.ts'
import {
  createKeyVersion,
  decryptWith,
  encryptWith,
  epoch,
  type KeyVersionState,
  type NewKeyVersion
} from './key-versions.ts'
import { sameId } from './resource-manager.ts'
import type { Permissions } from './role-assignments.ts'
import { vaultFault } from './vault-fault.ts'

export interface KeyState {
  readonly name: string
  /** Oldest first; the last one is the current one. */
  readonly versions: KeyVersionState[]
  rotationPolicy: JsonObject | undefined
  /** Seconds since the epoch; undefined while the key lives. */
  deleted: number | undefined
  /** It is on its way back. */
  recovering: boolean
}

/** A vault. Tests may change its properties and its key versions at any time. */
export interface Vault {
  readonly id: string
  readonly name: string
  readonly location: string
  /** `https://<name>.<suffix>`, without a slash at the end. */
  readonly url: string
  tags: JsonObject
  /** Milliseconds since the epoch. A test may make it older. */
  createdAt: number
  /** Milliseconds since the epoch: until then the vault is still being made. */
  readonly registeredAt: number
  /** `properties` of the ARM resource. */
  properties: JsonObject
  readonly keys: Map<string, KeyState>
  /** Adds a version to a key, the first one makes the key. */
  addKey(name: string, options?: NewKeyVersion): Promise<KeyVersionState>
  /** Versions of a key, oldest first; empty where there is no such key. */
  versions(name: string): readonly KeyVersionState[]
  setProperties(changes: JsonObject): void
}

export interface NewVault {
  readonly id: string
  readonly location: string
  readonly tenantId: string
  readonly tags?: JsonObject
  /** Azure RBAC rather than access policies; on unless told. */
  readonly rbac?: boolean
  readonly properties?: JsonObject
  /** Milliseconds since the epoch; long ago unless told. */
  readonly createdAt?: number
}

/** From where a request reaches a vault: the internet, or an approved private endpoint of a cluster. */
export type Origin = { readonly address: string } | { readonly privateEndpointOf: string }

/** What can be asked of a key, with the permission for it in both of Key Vault's permission models. */
const permissionsFor = {
  get: { action: 'keys/read', policy: 'get' },
  list: { action: 'keys/read', policy: 'list' },
  create: { action: 'keys/create/action', policy: 'create' },
  update: { action: 'keys/update/action', policy: 'update' },
  rotate: { action: 'keys/rotate/action', policy: 'rotate' },
  delete: { action: 'keys/delete', policy: 'delete' },
  recover: { action: 'keys/recover/action', policy: 'recover' },
  encrypt: { action: 'keys/encrypt/action', policy: 'encrypt' },
  decrypt: { action: 'keys/decrypt/action', policy: 'decrypt' },
  getrotationpolicy: { action: 'keyrotationpolicies/read', policy: 'getrotationpolicy' },
  setrotationpolicy: { action: 'keyrotationpolicies/write', policy: 'setrotationpolicy' }
} as const

export type KeyPermission = keyof typeof permissionsFor

export interface Vaults {
  readonly all: readonly Vault[]
  add(options: NewVault): Vault
  /** Deletes a vault, so that it can be recovered: its name stays taken. */
  remove(vault: Vault): void
  readonly deleted: readonly Vault[]
  byName(name: string): Vault | undefined
  byId(id: string): Vault | undefined
  /** The vault that a host name belongs to. */
  byHost(host: string): Vault | undefined
  /** Throws what Key Vault answers to somebody who may not, or doesn't come from where they may. */
  authorize(vault: Vault, permission: KeyPermission, resource: string, caller: Principal, origin: Origin): void
  /** Encrypts and decrypts with the key version of a url, after every check that Key Vault makes. */
  encrypt(keyId: string, algorithm: string, plaintext: Uint8Array, caller: Principal, origin: Origin): Uint8Array
  decrypt(keyId: string, algorithm: string, ciphertext: Uint8Array, caller: Principal, origin: Origin): Uint8Array
}

/** In milliseconds. */
const LONG_AGO = 100 * 86_400_000

export function createVaults(options: {
  readonly cloud: BedCloud
  readonly permissions: Permissions
  /** Milliseconds that a new vault takes until its name leads somewhere. */
  readonly registration: number
}): Vaults {
  const { cloud, permissions } = options
  const all: Vault[] = []
  const deleted: Vault[] = []
  const byName = (name: string): Vault | undefined => all.find((vault) => sameId(vault.name, name))

  const authorize: Vaults['authorize'] = (vault, permission, resource, caller, origin) => {
    refuseOrigin(vault, origin)
    const { action, policy } = permissionsFor[permission]
    const dataAction = `Microsoft.KeyVault/vaults/${action}`
    const who = `appid=${caller.applicationId};oid=${caller.objectId};`
    if (vault.properties['enableRbacAuthorization'] === true) {
      const scope = `${vault.id}/${resource}`
      const may = (one: string): boolean => permissions.allowsData(caller.objectId, one, scope)
      // With the public key in hand anybody can encrypt, and whoever may read a key has it in hand.
      if (may(dataAction) || (permission === 'encrypt' && may('Microsoft.KeyVault/vaults/keys/read'))) return
      throw vaultFault(
        403,
        'Forbidden',
        `Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: ${who}iss=${issuerOf(caller.tenantId)}\r\nAction: '${dataAction}'\r\nResource: '${scope.toLowerCase()}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: ${vault.name};location=${vault.location}\r\n`,
        'ForbiddenByRbac'
      )
    }
    const granted = listAt(vault.properties, 'accessPolicies')
      .filter((entry) => textAt(entry, 'objectId') === caller.objectId)
      .flatMap((entry) => listAt(entry, 'permissions', 'keys'))
      .map((name) => textAt(name).toLowerCase())
    if (granted.includes('all') || granted.includes(policy)) return
    throw vaultFault(
      403,
      'Forbidden',
      `The user, group or application '${who}numgroups=0;iss=${issuerOf(caller.tenantId)}' does not have keys ${policy} permission on key vault '${vault.name};location=${vault.location}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
      'AccessDenied'
    )
  }

  const reach = (
    permission: 'encrypt' | 'decrypt',
    keyId: string,
    caller: Principal,
    origin: Origin
  ): KeyVersionState => {
    const url = new URL(keyId)
    const [, , name = '', version = ''] = url.pathname.split('/')
    const vault = vaults.byHost(url.hostname)
    if (vault === undefined) throw new Error(`getaddrinfo ENOTFOUND ${url.hostname}`)
    authorize(vault, permission, `keys/${name}`, caller, origin)
    return findVersion(vault, name, version)
  }

  const vaults: Vaults = {
    all,
    deleted,
    remove(vault) {
      all.splice(all.indexOf(vault), 1)
      deleted.push(vault)
    },
    add({ id, location, tenantId, tags = {}, rbac = true, properties = {}, createdAt = Date.now() - LONG_AGO }) {
      const name = id.split('/').at(-1) ?? ''
      const url = `https://${name.toLowerCase()}.${cloud.vaultSuffix}`
      const keys = new Map<string, KeyState>()
      const vault: Vault = {
        id,
        name,
        location,
        url,
        tags,
        createdAt,
        registeredAt: createdAt + options.registration,
        properties: {
          sku: { family: 'A', name: 'standard' },
          tenantId,
          accessPolicies: [],
          enabledForDeployment: false,
          enableSoftDelete: true,
          softDeleteRetentionInDays: 90,
          enableRbacAuthorization: rbac,
          vaultUri: `${url}/`,
          provisioningState: 'Succeeded',
          publicNetworkAccess: 'Enabled',
          ...properties
        },
        keys,
        async addKey(keyName, keyOptions = {}) {
          const version = await createKeyVersion(`${url}/keys/${keyName}`, keyOptions)
          const key = keys.get(keyName.toLowerCase()) ?? newKey(keyName)
          key.versions.push(version)
          keys.set(keyName.toLowerCase(), key)
          return version
        },
        versions: (keyName) => keys.get(keyName.toLowerCase())?.versions ?? [],
        setProperties(changes) {
          vault.properties = { ...vault.properties, ...changes }
        }
      }
      all.push(vault)
      return vault
    },
    byName,
    byId: (id) => all.find((vault) => sameId(vault.id, id)),
    byHost(host) {
      const suffix = `.${cloud.vaultSuffix}`
      return host.toLowerCase().endsWith(suffix) ? byName(host.slice(0, -suffix.length)) : undefined
    },
    authorize,
    encrypt: (keyId, algorithm, plaintext, caller, origin) =>
      encryptWith(reach('encrypt', keyId, caller, origin), algorithm, plaintext),
    decrypt: (keyId, algorithm, ciphertext, caller, origin) =>
      decryptWith(reach('decrypt', keyId, caller, origin), algorithm, ciphertext)
  }
  return vaults
}

export function findKey(vault: Vault, name: string): KeyState {
  const key = vault.keys.get(name.toLowerCase())
  if (key !== undefined && key.deleted === undefined) return key
  throw keyNotFound(name)
}

/** A version of a key, or with an empty version its current one. */
export function findVersion(vault: Vault, name: string, version: string): KeyVersionState {
  const key = findKey(vault, name)
  const found = version === '' ? key.versions.at(-1) : key.versions.find((one) => sameId(one.version, version))
  if (found === undefined) throw keyNotFound(version === '' ? name : `${name}/${version}`)
  return found
}

/** Tells whether keys of a vault can be purged before their time, as every key's attributes do. */
export function recoveryOf(vault: Vault): { readonly recoveryLevel: string; readonly recoverableDays: number } {
  const days = Number(vault.properties['softDeleteRetentionInDays'] ?? 90)
  const customized = days < 90 ? 'CustomizedRecoverable' : 'Recoverable'
  const purgeable = vault.properties['enablePurgeProtection'] === true ? '' : '+Purgeable'
  return { recoveryLevel: `${customized}${purgeable}`, recoverableDays: days }
}

/** What AKS does on behalf of a cluster whose KMS is Private: a private endpoint, approved at once. */
export function approvePrivateEndpoint(vault: Vault, clusterId: string): void {
  const connections = listAt(vault.properties, 'privateEndpointConnections')
  if (connections.some((connection) => endpointOwner(connection) === clusterId.toLowerCase())) return
  const name = `kms-${epoch().toString(16)}`
  vault.properties = replaceAt(
    vault.properties,
    ['privateEndpointConnections'],
    [
      ...connections,
      {
        id: `${vault.id}/privateEndpointConnections/${name}`,
        properties: {
          provisioningState: 'Succeeded',
          privateEndpoint: { id: `${clusterId}/privateEndpoints/${name}` },
          privateLinkServiceConnectionState: { status: 'Approved', actionsRequired: 'None' }
        }
      }
    ]
  )
}

function endpointOwner(connection: Json): string {
  const approved = textAt(connection, 'properties', 'privateLinkServiceConnectionState', 'status') === 'Approved'
  const endpoint = textAt(connection, 'properties', 'privateEndpoint', 'id').toLowerCase()
  return approved ? endpoint.replace(/\/privateendpoints\/[^/]+$/, '') : ''
}

function refuseOrigin(vault: Vault, origin: Origin): void {
  if ('privateEndpointOf' in origin) {
    const connections = listAt(vault.properties, 'privateEndpointConnections')
    if (connections.some((connection) => endpointOwner(connection) === origin.privateEndpointOf.toLowerCase())) return
  }
  const address = 'address' in origin ? origin.address : '20.50.1.1'
  if (vault.properties['publicNetworkAccess'] === 'Disabled') {
    throw vaultFault(
      403,
      'Forbidden',
      'Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\n',
      'ForbiddenByConnection'
    )
  }
  const rules = objectAt(vault.properties, 'networkAcls')
  const allowed = listAt(rules, 'ipRules').map((rule) => textAt(rule, 'value').replace(/\/32$/, ''))
  if (rules['defaultAction'] === 'Deny' && !allowed.includes(address)) {
    throw vaultFault(
      403,
      'Forbidden',
      `Client address is not authorized and caller is not a trusted service.\r\nClient address: ${address}\r\nCaller: (not shown)\r\nVault: ${vault.name};location=${vault.location}`,
      'ForbiddenByFirewall'
    )
  }
}

export function newKey(name: string): KeyState {
  return { name, versions: [], rotationPolicy: undefined, deleted: undefined, recovering: false }
}

function keyNotFound(id: string): Error {
  return vaultFault(
    404,
    'KeyNotFound',
    `A key with (name/id) ${id} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`
  )
}
