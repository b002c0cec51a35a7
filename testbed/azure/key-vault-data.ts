import type { WireAnswer, WireHandler, WireRequest } from '../network.ts'
import { vaultResource, type BedCloud } from './clouds.ts'
import { issuerOf, type Entra, type Principal } from './entra.ts'
import { listAt, objectAt, parseObject, textAt, type JsonObject } from './json.ts'
import { createKeyVersion, decryptWith, encryptWith, epoch, publicMaterial } from './key-versions.ts'
import type { KeyType, KeyVersionState, NewKeyVersion } from './key-versions.ts'
import { faultAnswer, VaultFault, vaultFault } from './vault-fault.ts'
import {
  findKey,
  findVersion,
  recoveryOf,
  type KeyPermission,
  type KeyState,
  type Vault,
  type Vaults
} from './vaults.ts'

/** The address that runners come from, for the vaults' firewalls. */
export const RUNNER_ADDRESS = '20.102.3.4'

const PAGE = 25

/** A key that is to be recovered is not back at once. */
const RECOVERY_MS = 300

interface DataCall {
  readonly vault: Vault
  readonly request: WireRequest
  readonly body: JsonObject
  /** Throws unless the caller may do this to the key. */
  authorize(permission: KeyPermission): void
}

type DataHandler = (call: DataCall, name: string, version: string) => WireAnswer | Promise<WireAnswer>

/** Key Vault's data plane: keys over https at `<vault>.<suffix>`. */
export function createKeyVaultData(options: {
  readonly cloud: BedCloud
  readonly entra: Entra
  readonly vaults: Vaults
}): WireHandler {
  const { cloud, entra, vaults } = options
  const resource = vaultResource(cloud)

  const challenge = (vault: Vault, message: string): WireAnswer => ({
    status: 401,
    headers: {
      'www-authenticate': `Bearer authorization="https://${cloud.authorityHost}/${textAt(vault.properties, 'tenantId')}", resource="${resource}"`
    },
    body: { error: { code: 'Unauthorized', message } }
  })

  const authenticate = (vault: Vault, request: WireRequest): Principal | WireAnswer => {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) return challenge(vault, 'AKV10000: Request is missing a Bearer or PoP token.')
    const access = entra.verifyAccessToken(token, resource)
    if ('problem' in access) {
      if (access.problem !== 'audience')
        return challenge(vault, `[TokenExpired] Error validating token: ${access.problem}.`)
      return challenge(vault, `AKV10022: Invalid audience. Expected ${resource}, found: ${access.detail}.`)
    }
    const tenantId = textAt(vault.properties, 'tenantId')
    if (access.principal.tenantId === tenantId) return access.principal
    return challenge(
      vault,
      `AKV10032: Invalid issuer. Expected one of ${issuerOf(tenantId)}, found ${issuerOf(access.principal.tenantId)}.`
    )
  }

  return async (request) => {
    const vault = vaults.byHost(request.host)
    if (vault === undefined) return { status: 421, body: `There is no vault ${request.host}.` }
    const reply = async (): Promise<WireAnswer> => {
      const caller = authenticate(vault, request)
      if ('status' in caller) return caller
      const [collection = '', name = '', ...rest] = request.path.split('/').slice(1)
      const [version, handler] = findHandler(request.method, collection, name, rest)
      if (handler === undefined) {
        throw vaultFault(404, 'NotFound', `The test bed has no ${request.method} ${request.path} in Key Vault.`)
      }
      return handler(
        {
          vault,
          request,
          body: parseObject(request.text),
          authorize: (permission) =>
            vaults.authorize(vault, permission, name === '' ? 'keys' : `keys/${name}`, caller, {
              address: RUNNER_ADDRESS
            })
        },
        name,
        version
      )
    }
    const answer = await reply().catch((error: unknown) => {
      if (error instanceof VaultFault) return faultAnswer(error)
      throw error
    })
    return { ...answer, headers: { 'x-ms-keyvault-region': vault.location, ...answer.headers } }
  }
}

/** The handler for a path, and the key version in it: `/keys/<name>[/<version>][/<verb>]`. */
function findHandler(
  method: string,
  collection: string,
  name: string,
  rest: readonly string[]
): readonly [string, DataHandler | undefined] {
  const [first = '', second = ''] = rest
  if (collection === 'deletedkeys') {
    return ['', deletedKeyHandlers[[method, first].filter((part) => part !== '').join(' ')]]
  }
  if (collection !== 'keys') return ['', undefined]
  if (name === '') return ['', method === 'GET' ? listKeys : undefined]
  const ofKey = keyHandlers[`${method} ${first}`]
  if (ofKey !== undefined && second === '') return ['', ofKey]
  return [first, versionHandlers[[method, second].filter((part) => part !== '').join(' ')]]
}

const versionHandlers: Readonly<Record<string, DataHandler>> = {
  GET(call, name, version) {
    call.authorize('get')
    return { status: 200, body: bundle(call.vault, findVersion(call.vault, name, version)) }
  },
  PATCH(call, name, version) {
    call.authorize('update')
    const found = findVersion(call.vault, name, version)
    const { enabled, expires, notBefore, operations, tags } = changesOf(call.body)
    if (enabled !== undefined) found.enabled = enabled
    if (expires !== undefined) found.expires = expires
    if (notBefore !== undefined) found.notBefore = notBefore
    if (operations !== undefined) found.operations = operations
    if (tags !== undefined) found.tags = tags
    found.updated = epoch()
    return { status: 200, body: bundle(call.vault, found) }
  },
  'POST encrypt': (call, name, version) => {
    call.authorize('encrypt')
    const found = findVersion(call.vault, name, version)
    const value = encryptWith(found, textAt(call.body, 'alg'), bytesOf(call.body))
    return { status: 200, body: { kid: found.id, value: Buffer.from(value).toString('base64url') } }
  },
  'POST decrypt': (call, name, version) => {
    call.authorize('decrypt')
    const found = findVersion(call.vault, name, version)
    const value = decryptWith(found, textAt(call.body, 'alg'), bytesOf(call.body))
    return { status: 200, body: { kid: found.id, value: Buffer.from(value).toString('base64url') } }
  },
  DELETE(call, name) {
    call.authorize('delete')
    const key = findKey(call.vault, name)
    key.deleted = epoch()
    return { status: 200, body: deletedBundle(call.vault, key) }
  }
}

const keyHandlers: Readonly<Record<string, DataHandler>> = {
  'GET versions': (call, name) => {
    call.authorize('list')
    const { versions } = call.vault.keys.get(name.toLowerCase()) ?? { versions: [] }
    // Key Vault pages through versions by their name, which has nothing to do with their age, and lists them on
    // while the key is deleted: the recordings show both.
    return page(
      call,
      [...versions].sort((a, b) => (a.version < b.version ? -1 : 1)).map((one) => item(call.vault, one, one.id))
    )
  },
  'GET rotationpolicy': (call, name) => {
    call.authorize('getrotationpolicy')
    return { status: 200, body: rotationPolicy(call.vault, findKey(call.vault, name)) }
  },
  'PUT rotationpolicy': (call, name) => {
    call.authorize('setrotationpolicy')
    const key = findKey(call.vault, name)
    const now = epoch()
    const created = objectAt(key.rotationPolicy, 'attributes')['created'] ?? now
    key.rotationPolicy = {
      lifetimeActions: listAt(call.body, 'lifetimeActions'),
      attributes: { ...objectAt(call.body, 'attributes'), created, updated: now }
    }
    return { status: 200, body: rotationPolicy(call.vault, key) }
  },
  'POST create': async (call, name) => {
    call.authorize('create')
    const deleted = call.vault.keys.get(name.toLowerCase())
    if (deleted?.deleted !== undefined) {
      throw vaultFault(
        409,
        'Conflict',
        `Key ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.`,
        'ObjectIsDeletedButRecoverable'
      )
    }
    const type = textAt(call.body, 'kty')
    if (!isKeyType(type)) throw vaultFault(400, 'BadParameter', `Property kty has invalid value '${type}'.`)
    const size = call.body['key_size']
    const made = await call.vault.addKey(name, {
      type,
      ...(typeof size === 'number' ? { size } : {}),
      ...changesOf(call.body)
    })
    return { status: 200, body: bundle(call.vault, made) }
  },
  'POST rotate': async (call, name) => {
    call.authorize('rotate')
    const key = findKey(call.vault, name)
    const current = findVersion(call.vault, name, '')
    const lifetime = secondsOf(textAt(key.rotationPolicy, 'attributes', 'expiryTime'))
    const created = epoch()
    const made = await createKeyVersion(current.id.slice(0, current.id.lastIndexOf('/')), {
      created,
      type: current.type,
      ...(current.size === undefined ? {} : { size: current.size }),
      operations: current.operations,
      tags: current.tags,
      expires: lifetime === undefined ? undefined : created + lifetime
    })
    key.versions.push(made)
    return { status: 200, body: bundle(call.vault, made) }
  }
}

const deletedKeyHandlers: Readonly<Record<string, DataHandler>> = {
  GET(call, name) {
    call.authorize('get')
    return { status: 200, body: deletedBundle(call.vault, findDeleted(call.vault, name)) }
  },
  'POST recover': (call, name) => {
    call.authorize('recover')
    const key = findDeleted(call.vault, name)
    const current = key.versions.at(-1)
    if (current === undefined) throw vaultFault(404, 'KeyNotFound', `Deleted Key not found: ${name}`)
    if (key.recovering) {
      const message = `Key ${name} is currently being recovered. Retry later.`
      throw vaultFault(409, 'Conflict', message, 'ObjectIsBeingRecovered')
    }
    key.recovering = true
    setTimeout(() => {
      key.deleted = undefined
      key.recovering = false
    }, RECOVERY_MS).unref()
    return { status: 200, body: bundle(call.vault, current) }
  },
  DELETE(call, name) {
    call.authorize('delete')
    findDeleted(call.vault, name)
    call.vault.keys.delete(name.toLowerCase())
    return { status: 204 }
  }
}

const listKeys: DataHandler = (call) => {
  call.authorize('list')
  const living = [...call.vault.keys.values()].filter((key) => key.deleted === undefined)
  return page(
    call,
    living.flatMap((key) => {
      const current = key.versions.at(-1)
      return current === undefined ? [] : [item(call.vault, current, `${call.vault.url}/keys/${key.name}`)]
    })
  )
}

function page({ request, vault }: DataCall, items: readonly JsonObject[]): WireAnswer {
  const size = Number(request.query.get('maxresults') ?? PAGE)
  const start = Number(Buffer.from(request.query.get('$skiptoken') ?? '', 'base64url').toString() || 0)
  const end = start + size
  const token = Buffer.from(String(end)).toString('base64url')
  const next = `${vault.url}:443${request.path}?api-version=${request.query.get('api-version')}&$skiptoken=${token}&maxresults=${size}`
  return { status: 200, body: { value: items.slice(start, end), nextLink: end < items.length ? next : null } }
}

export function attributes(vault: Vault, version: KeyVersionState): JsonObject {
  const { enabled, notBefore, expires, created, updated } = version
  return {
    enabled,
    ...(notBefore === undefined ? {} : { nbf: notBefore }),
    ...(expires === undefined ? {} : { exp: expires }),
    created,
    updated,
    ...recoveryOf(vault),
    exportable: false,
    hsmPlatform: version.type.endsWith('-HSM') ? '1' : '0'
  }
}

function bundle(vault: Vault, version: KeyVersionState): JsonObject {
  return {
    key: { kid: version.id, kty: version.type, key_ops: version.operations, ...publicMaterial(version) },
    attributes: attributes(vault, version),
    ...tagsOf(version)
  }
}

function item(vault: Vault, version: KeyVersionState, kid: string): JsonObject {
  return { kid, attributes: attributes(vault, version), ...tagsOf(version) }
}

function tagsOf({ tags }: KeyVersionState): JsonObject {
  return Object.keys(tags).length === 0 ? {} : { tags }
}

function deletedBundle(vault: Vault, key: KeyState): JsonObject {
  const deleted = key.deleted ?? 0
  const retention = recoveryOf(vault).recoverableDays * 86_400
  const current = key.versions.at(-1)
  return {
    recoveryId: `${vault.url}/deletedkeys/${key.name}`,
    deletedDate: deleted,
    scheduledPurgeDate: deleted + retention,
    ...(current === undefined ? {} : bundle(vault, current))
  }
}

function findDeleted(vault: Vault, name: string): KeyState {
  const key = vault.keys.get(name.toLowerCase())
  if (key?.deleted !== undefined) return key
  throw vaultFault(404, 'KeyNotFound', `Deleted Key not found: ${name}`)
}

/** Without a policy of its own a key has one that only notifies. */
function rotationPolicy(vault: Vault, key: KeyState): JsonObject {
  return {
    id: `${vault.url}/keys/${key.name}/rotationpolicy`,
    lifetimeActions: [{ trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } }],
    attributes: {},
    ...key.rotationPolicy
  }
}

function changesOf(body: JsonObject): NewKeyVersion {
  const { enabled, exp, nbf } = objectAt(body, 'attributes')
  const operations = listAt(body, 'key_ops').map(String)
  const tags = Object.entries(objectAt(body, 'tags')).map(([name, value]) => {
    return [name, typeof value === 'string' ? value : JSON.stringify(value)] as const
  })
  return {
    ...(typeof enabled === 'boolean' ? { enabled } : {}),
    ...(typeof exp === 'number' ? { expires: exp } : {}),
    ...(typeof nbf === 'number' ? { notBefore: nbf } : {}),
    ...(operations.length > 0 ? { operations } : {}),
    ...(body['tags'] === undefined ? {} : { tags: Object.fromEntries(tags) })
  }
}

function isKeyType(type: string): type is KeyType {
  return type === 'RSA' || type === 'RSA-HSM' || type === 'EC' || type === 'EC-HSM'
}

function bytesOf(body: JsonObject): Uint8Array {
  return Buffer.from(textAt(body, 'value'), 'base64url')
}

/** `P90D` or `P2Y` in seconds; undefined where nothing is said. */
function secondsOf(duration: string): number | undefined {
  const [, count, unit] = /^P(\d+)([DMY])$/.exec(duration) ?? []
  if (count === undefined) return undefined
  return Number(count) * 86_400 * (unit === 'Y' ? 365 : unit === 'M' ? 30 : 1)
}
