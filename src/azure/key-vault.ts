import type { TokenCredential } from '@azure/core-auth'
import { isRestError, RestError, type HttpClient, type PipelinePolicy } from '@azure/core-rest-pipeline'
import { KeyClient, type DeletedKey, type KeyProperties as SdkKeyProperties } from '@azure/keyvault-keys'
import { ActionError } from '../errors.ts'
import { isJsonObject } from '../model/json.ts'
import { parseKeyId, type KeyVersion } from '../model/key-id.ts'
import type { KeyObservation, KeyProperties, KeyVersionsObservation } from '../model/key.ts'
import type { VersionLife } from '../model/preparation.ts'
import { minuteOf } from '../model/time.ts'
import type { Cloud } from './clouds.ts'
import { keyVaultError, keyVaultFailure, type KeyVaultFailure } from './key-vault-errors.ts'
import { pause, type Pause } from '../pause.ts'
import { transientRetryPolicy } from './retry-policy.ts'
import { USER_AGENT } from './user-agent.ts'

/** Old enough for every cloud; it can rotate. */
const API_VERSION = '7.4'

/** A vault whose name leads nowhere is told of within some 15 s. */
const MAX_RETRIES = 4

/**
 * The SDK loses what Key Vault says where a list is refused, and fails on an error without Key Vault's body, such as a proxy's on the way:
 * that is no answer of the vault.
 */
const answeredByTheService: PipelinePolicy = {
  name: 'answeredByTheServicePolicy',
  async sendRequest(request, next) {
    const response = await next(request)
    const { status, bodyAsText } = response
    if (status < 400) return response
    const title = `HTTP status ${String(status)}`
    const details = parsed(bodyAsText ?? '')
    if (!isJsonObject(details)) throw new RestError(title, { code: title })
    throw Object.assign(new RestError(title, { statusCode: status, request, response }), { details })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What keys say of themselves. Every method throws ActionError for failures other than those it returns. */
export interface KeyReader {
  readKey(id: KeyVersion, signal?: AbortSignal): Promise<KeyObservation>
  /** In no order, as Key Vault has them. */
  listVersions(vaultUrl: string, keyName: string, signal?: AbortSignal): Promise<KeyVersionsObservation>
  /** Undefined where it may not be read. */
  readRotationPolicy(vaultUrl: string, keyName: string, signal?: AbortSignal): Promise<VersionLife | undefined>
}

/** The data plane of Key Vault. */
export interface KeyVault extends KeyReader {
  /** Makes a new version by the key's rotation policy, of the same type and size. */
  createVersion(vaultUrl: string, keyName: string, signal?: AbortSignal): Promise<KeyVersion>
  /** Whether a key of this name was deleted and can be recovered; false where that can't be seen. */
  isDeleted(vaultUrl: string, keyName: string, signal?: AbortSignal): Promise<boolean>
  /** Changes a version's attributes, and marks it with the time of the repair. */
  repairVersion(id: KeyVersion, repair: KeyRepair, signal?: AbortSignal): Promise<void>
  /** Brings a deleted key back with all its versions, and waits until it can be read, some minutes at most. */
  recoverKey(vaultUrl: string, keyName: string, signal?: AbortSignal): Promise<void>
}

/** What is given is changed. Times are in milliseconds since the epoch. */
export interface KeyRepair {
  readonly repaired: number
  readonly enabled?: true
  readonly expires?: number
  readonly notBefore?: number
}

/** Tag of a version that this action repaired; its value is the time in ISO 8601. */
export const REPAIRED_TAG = 'kms-etcd-encryption-repaired'

/** The value of that tag in milliseconds since the epoch; undefined where it is none. */
export function repairedAt(tag: unknown): number | undefined {
  const time = typeof tag === 'string' ? Date.parse(tag) : NaN
  return Number.isNaN(time) ? undefined : time
}

/** Key Vault takes no more of them. Source: learn.microsoft.com/azure/key-vault/keys/about-keys-details#key-tags */
const MOST_TAGS = 15

/** A recovery takes seconds as a rule, and some minutes at times. */
const RECOVERY_POLL_MS = 2_000
const MOST_RECOVERY_POLLS = 150

export interface KeyVaultOptions {
  readonly httpClient?: HttpClient
  readonly pause?: Pause
}

export function createKeyVault(
  credential: TokenCredential,
  cloud: Cloud,
  { httpClient, ...retries }: KeyVaultOptions = {}
): KeyVault {
  const wait = retries.pause ?? pause
  const clients = new Map<string, KeyClient>()

  function clientOf(vaultUrl: string): KeyClient {
    const present = clients.get(vaultUrl)
    if (present !== undefined) return present
    const client = new KeyClient(vaultUrl, credential, {
      serviceVersion: API_VERSION,
      userAgentOptions: { userAgentPrefix: USER_AGENT },
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [
        { policy: answeredByTheService, position: 'perCall' },
        {
          policy: transientRetryPolicy({
            // What a PATCH sets is the same the second time.
            mayRepeat: (request) => request.method === 'GET' || request.method === 'PATCH',
            maxRetries: MAX_RETRIES,
            ...retries
          }),
          position: 'perRetry'
        }
      ],
      ...(httpClient === undefined ? {} : { httpClient })
    })
    clients.set(vaultUrl, client)
    return client
  }

  /** What there is to say of a deleted key; undefined where none can be seen. */
  async function deletionOf(
    vaultUrl: string,
    keyName: string,
    signal: AbortSignal | undefined
  ): Promise<string | undefined> {
    try {
      const { properties } = await clientOf(vaultUrl).getDeletedKey(keyName, withSignal(signal))
      return `The key ${keyName} ${deletionTimes(properties)}`
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof ActionError) throw error
      return undefined
    }
  }

  /** A key that is gone may still be recovered; whoever may not ask for deleted keys is told “not found”. */
  async function orDeleted(
    failure: KeyVaultFailure,
    vaultUrl: string,
    keyName: string,
    signal: AbortSignal | undefined
  ) {
    const deletion = failure.reason === 'not-found' ? await deletionOf(vaultUrl, keyName, signal) : undefined
    return deletion === undefined ? failure : { reason: 'deleted' as const, message: deletion }
  }

  async function listVersions(
    vaultUrl: string,
    keyName: string,
    signal?: AbortSignal
  ): Promise<KeyVersionsObservation> {
    try {
      const versions: KeyProperties[] = []
      for await (const version of clientOf(vaultUrl).listPropertiesOfKeyVersions(keyName, withSignal(signal))) {
        versions.push(toProperties(version, cloud))
      }
      return { kind: 'readable', versions }
    } catch (error) {
      signal?.throwIfAborted()
      const failure = await orDeleted(keyVaultFailure(error, vaultName(vaultUrl)), vaultUrl, keyName, signal)
      if (failure.reason === 'refused') throw keyVaultError(failure, `list the versions of the key ${keyName}`)
      return { kind: 'unreadable', reason: failure.reason, message: failure.message }
    }
  }

  return {
    isDeleted: async (...key) => (await deletionOf(...key)) !== undefined,
    listVersions,

    async readKey(id, signal) {
      try {
        const key = await clientOf(id.vaultUrl).getKey(id.name, { version: id.version, ...withSignal(signal) })
        return {
          kind: 'readable',
          key: {
            ...toProperties(key.properties, cloud),
            keyType: key.keyType ?? '',
            keyOperations: key.keyOperations ?? []
          }
        }
      } catch (error) {
        signal?.throwIfAborted()
        const failure = await orDeleted(keyVaultFailure(error, id.vaultName), id.vaultUrl, id.name, signal)
        if (failure.reason === 'refused') throw keyVaultError(failure, `read the key version ${id.url}`)
        return { kind: 'unreadable', id, reason: failure.reason, message: failure.message }
      }
    },

    async readRotationPolicy(vaultUrl, keyName, signal) {
      try {
        const { expiresIn } = await clientOf(vaultUrl).getKeyRotationPolicy(keyName, withSignal(signal))
        return { expiresAfter: expiresIn }
      } catch (error) {
        signal?.throwIfAborted()
        if (error instanceof ActionError) throw error
        return undefined
      }
    },

    async createVersion(vaultUrl, keyName, signal) {
      const before = await listVersions(vaultUrl, keyName, signal)
      try {
        const key = await clientOf(vaultUrl).rotateKey(keyName, withSignal(signal))
        return toProperties(key.properties, cloud).id
      } catch (error) {
        signal?.throwIfAborted()
        const failure = await orDeleted(keyVaultFailure(error, vaultName(vaultUrl)), vaultUrl, keyName, signal)
        // The answer may have got lost after the version was made: a second one would be one too many.
        const made = failure.reason === 'unreachable' ? await madeSince(before, vaultUrl, keyName, signal) : undefined
        if (made !== undefined) return made
        throw keyVaultError(failure, `make a new version of the key ${keyName} in the vault ${vaultName(vaultUrl)}`)
      }
    },

    async repairVersion(id, repair, signal) {
      try {
        await update(id, repair, signal)
      } catch (error) {
        signal?.throwIfAborted()
        const failure = await orDeleted(keyVaultFailure(error, id.vaultName), id.vaultUrl, id.name, signal)
        throw keyVaultError(failure, `repair the key version ${id.url}`)
      }
    },

    async recoverKey(vaultUrl, keyName, signal) {
      const attempt = `recover the key ${keyName} in the vault ${vaultName(vaultUrl)}`
      for (let polls = 0; polls < MOST_RECOVERY_POLLS; polls++) {
        if (polls > 0) await wait(RECOVERY_POLL_MS, signal)
        try {
          // Looks for the key first, asks for its recovery where there is none, and looks again.
          const recovery = await clientOf(vaultUrl).beginRecoverDeletedKey(keyName, withSignal(signal))
          if (recovery.isDone()) return
        } catch (error) {
          signal?.throwIfAborted()
          // Its recovery is under way, as may be its deletion.
          const isUnderWay = isRestError(error) && error.statusCode === 409
          if (!isUnderWay) throw keyVaultError(keyVaultFailure(error, vaultName(vaultUrl)), attempt)
        }
      }
      const minutes = (MOST_RECOVERY_POLLS * RECOVERY_POLL_MS) / 60_000
      throw new ActionError(
        'azure-unavailable',
        `Could not ${attempt}: it is still under way after ${String(minutes)} minutes.`
      )
    }
  }

  async function update(id: KeyVersion, repair: KeyRepair, signal: AbortSignal | undefined): Promise<void> {
    const client = clientOf(id.vaultUrl)
    const { properties } = await client.getKey(id.name, { version: id.version, ...withSignal(signal) })
    const tags = { ...properties.tags, [REPAIRED_TAG]: new Date(repair.repaired).toISOString() }
    await client.updateKeyProperties(id.name, id.version, {
      ...(repair.enabled !== undefined && { enabled: repair.enabled }),
      ...(repair.expires !== undefined && { expiresOn: new Date(repair.expires) }),
      ...(repair.notBefore !== undefined && { notBefore: new Date(repair.notBefore) }),
      ...(Object.keys(tags).length <= MOST_TAGS && { tags }),
      ...withSignal(signal)
    })
  }

  async function madeSince(
    before: KeyVersionsObservation,
    vaultUrl: string,
    keyName: string,
    signal: AbortSignal | undefined
  ): Promise<KeyVersion | undefined> {
    const now = await listVersions(vaultUrl, keyName, signal)
    if (before.kind === 'unreadable' || now.kind === 'unreadable') return undefined
    const known = new Set(before.versions.map((version) => version.id.version))
    return now.versions.find((version) => !known.has(version.id.version))?.id
  }
}

function toProperties(properties: SdkKeyProperties, cloud: Cloud): KeyProperties {
  const id = parseKeyId(properties.id ?? '', cloud.vaultSuffix)
  if (typeof id === 'string') {
    throw new ActionError(
      'azure-request-failed',
      `Key Vault answered with a key id that can’t be read: ${properties.id ?? 'none'}.`
    )
  }
  const repaired = repairedAt(properties.tags?.[REPAIRED_TAG])
  return {
    id,
    enabled: properties.enabled ?? true,
    created: properties.createdOn?.getTime() ?? 0,
    notBefore: properties.notBefore?.getTime(),
    expires: properties.expiresOn?.getTime(),
    ...(properties.updatedOn !== undefined && { updated: properties.updatedOn.getTime() }),
    ...(repaired !== undefined && { repaired })
  }
}

function deletionTimes({ deletedOn, scheduledPurgeDate }: DeletedKey['properties']): string {
  const deleted = deletedOn === undefined ? 'was deleted' : `was deleted on ${minuteOf(deletedOn.getTime())}`
  return scheduledPurgeDate === undefined
    ? `${deleted}, and can be recovered.`
    : `${deleted}, and can be recovered until ${minuteOf(scheduledPurgeDate.getTime())}.`
}

function withSignal(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal }
}

function vaultName(vaultUrl: string): string {
  return new URL(vaultUrl).hostname.split('.')[0] ?? vaultUrl
}
