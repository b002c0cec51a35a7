import { randomUUID } from 'node:crypto'

import { decodeBody, prepared } from './bodies.ts'
import { decodeContinue, encodeContinue } from './continue.ts'
import { TransformError, type Transformer } from './encryption/transformer.ts'
import type { Etcd, KeyValue } from './etcd.ts'
import {
  generatedName,
  kept,
  metadataCauses,
  nameCauses,
  nameRequired,
  withoutRevision,
  withRevision
} from './metadata.ts'
import { canonical, fieldsOf, stringOf, type Fields, type KubernetesObject } from './objects.ts'
import { applyPatch } from './patch.ts'
import type { Resource } from './resources/resource.ts'
import { namespaces } from './resources/namespaces.ts'
import type { Selector } from './selector.ts'
import {
  alreadyExists,
  badRequest,
  conflict,
  deleted,
  expired,
  forbidden,
  internalError,
  invalid,
  notFound,
  StatusError,
  timeout,
  type Status
} from './status.ts'

/** Where an object is, or is to be; the namespace is empty for what has none. */
export interface Place {
  readonly resource: Resource
  readonly namespace: string
  readonly name: string
}

export interface ListOptions {
  readonly limit: number
  readonly continueToken: string
  readonly resourceVersion: string
  readonly exact: boolean
  readonly selector: Selector | undefined
}

export interface List {
  readonly items: readonly KubernetesObject[]
  readonly metadata: {
    readonly resourceVersion: string
    readonly continue?: string
    readonly remainingItemCount?: number
  }
}

export interface WriteOptions {
  readonly dryRun: boolean
}

/** What tests do to requests from within. */
export interface Interference {
  /** Throws the denial of a create or update that an admission webhook would deny. */
  admit(place: Place): void
  /** However many items a list asks for. */
  readonly mostPerPage: number
}

/** An object as it was read: its bytes tell whether a change would change anything. */
interface Stored {
  readonly object: KubernetesObject
  readonly plaintext: Uint8Array
  readonly stale: boolean
  readonly modRevision: number
}

/**
 * Objects in etcd under one EncryptionConfiguration: what one start of a kube-apiserver holds in memory. The next start makes
 * a new one over the same etcd and retires this one, so that nothing that is under way is written under old keys.
 */
export class Registry {
  readonly #etcd: Etcd
  readonly #encrypted: Transformer
  readonly #interference: Interference
  #retired = false

  constructor(etcd: Etcd, encrypted: Transformer, interference: Interference) {
    this.#etcd = etcd
    this.#encrypted = encrypted
    this.#interference = interference
  }

  /** As a kube-apiserver fills its caches before it is ready: one Secret that it can't decrypt keeps it from serving at all. */
  async assertReadable(resource: Resource): Promise<void> {
    for (const keyValue of this.#etcd.range(`/registry/${resource.plural}/`).keyValues) {
      await this.#decode(resource, keyValue, 'list')
    }
  }

  retire(): void {
    this.#retired = true
  }

  has(place: Place): boolean {
    return this.#etcd.get(keyOf(place)) !== undefined
  }

  async get(place: Place): Promise<KubernetesObject> {
    return (await this.#read(place)).object
  }

  async list(resource: Resource, namespace: string, options: ListOptions): Promise<List> {
    const prefix = `/registry/${resource.plural}/${namespace === '' ? '' : `${namespace}/`}`
    const { revision, start } = this.#startOf(options, prefix)
    const { selector } = options
    const limit = options.limit > 0 ? Math.min(options.limit, this.#interference.mostPerPage) : options.limit
    const range = this.#etcd.range(prefix, {
      ...(start === undefined ? {} : { start }),
      ...(limit > 0 && selector === undefined ? { limit } : {}),
      revision
    })
    const items: KubernetesObject[] = []
    let more = range.remaining > 0
    let last = ''
    for (const keyValue of range.keyValues) {
      if (limit > 0 && items.length === limit) {
        more = true
        break
      }
      const { object } = await this.#decode(resource, keyValue, 'list')
      last = keyValue.key
      if (selector?.(object, resource.selectable(object)) !== false) items.push(object)
    }
    return {
      items,
      metadata: {
        resourceVersion: String(revision),
        ...(more ? { continue: encodeContinue(last, prefix, revision, '/') } : {}),
        ...(more && selector === undefined ? { remainingItemCount: range.remaining } : {})
      }
    }
  }

  async create(
    resource: Resource,
    namespace: string,
    body: Fields,
    { dryRun }: WriteOptions
  ): Promise<KubernetesObject> {
    const given = decodeBody(resource, namespace, body)
    const name = given.metadata.name === '' ? generatedName(given.metadata) : given.metadata.name
    if (name === '') throw invalid(resource, '', [nameRequired])
    const object: KubernetesObject = {
      ...given,
      metadata: {
        ...given.metadata,
        name,
        ...(resource.namespaced ? { namespace } : {}),
        uid: randomUUID(),
        creationTimestamp: `${new Date().toISOString().slice(0, 19)}Z`
      }
    }
    const place = { resource, namespace, name }
    if (resource.namespaced) await this.#assertNamespaceTakes(place)
    this.#interference.admit(place)
    const causes = [...nameCauses(resource, name), ...resource.validate(object, undefined)]
    if (causes.length > 0) throw invalid(resource, name, causes)
    if (dryRun) return object
    const key = keyOf(place)
    if (this.#etcd.get(key) !== undefined) throw alreadyExists(resource, name)
    const stored = canonical(object, resource.fields)
    const revision = await this.#write(resource, key, encode(stored), 0)
    if (revision === undefined) throw alreadyExists(resource, name)
    return withRevision(stored, revision)
  }

  async update(place: Place, body: Fields, options: WriteOptions): Promise<KubernetesObject> {
    const { resource, namespace, name } = place
    const given = decodeBody(resource, namespace, body)
    if (given.metadata.name !== name) {
      throw badRequest(
        given.metadata.name === ''
          ? 'name must be provided'
          : `the name of the object (${given.metadata.name}) does not match the name on the URL (${name})`
      )
    }
    const expected = given.metadata.resourceVersion ?? ''
    if (resource.createOnUpdate && this.#etcd.get(keyOf(place)) === undefined) {
      if (expected !== '') throw conflict(resource, name, preconditionFailed(given.metadata.uid ?? ''))
      return this.create(resource, namespace, body, options)
    }
    return this.#guaranteedUpdate(place, options, () => {
      if (expected === '' && !resource.unconditionalUpdate) {
        const message = 'Invalid value: 0: must be specified for an update'
        const causes = [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }]
        throw invalid({ ...resource, kind: resource.plural }, name, causes)
      }
      return given
    })
  }

  patch(place: Place, contentType: string, body: string, options: WriteOptions): Promise<KubernetesObject> {
    return this.#guaranteedUpdate(place, options, (existing) => {
      const patched = applyPatch(existing, contentType, body)
      if (patched === existing) return existing
      try {
        return prepared(place.resource, patched)
      } catch (error) {
        if (error instanceof StatusError) throw error
        const value = JSON.stringify(JSON.stringify(patched))
        const message = `Invalid value: ${value}: ${error instanceof Error ? error.message : String(error)}`
        throw new StatusError(422, 'Invalid', ` "" is invalid: patch: ${message}`, {
          causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }]
        })
      }
    })
  }

  async delete(place: Place, body: Fields): Promise<Status> {
    const { resource, name } = place
    const { object, modRevision } = await this.#read(place)
    const preconditions = fieldsOf(body['preconditions'])
    const uid = stringOf(preconditions['uid'])
    const resourceVersion = stringOf(preconditions['resourceVersion'])
    // kube-apiserver names the kind here, not the resource.
    const kind = { ...resource, plural: resource.group === '' ? resource.plural : resource.kind }
    if (uid !== undefined && uid !== object.metadata.uid) {
      throw conflict(kind, name, preconditionFailed(uid, object.metadata.uid))
    }
    if (resourceVersion !== undefined && resourceVersion !== String(modRevision)) {
      throw conflict(
        kind,
        name,
        `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record ` +
          `(${modRevision}). The object might have been modified`
      )
    }
    this.#assertServing()
    if (this.#etcd.delete(keyOf(place), modRevision) === undefined) throw conflict(resource, name)
    return deleted(resource, name, object.metadata.uid ?? '')
  }

  /** At once, as the namespace controller would do it in a while. */
  async deleteNamespace(place: Place): Promise<KubernetesObject> {
    if (['default', 'kube-system', 'kube-public', 'kube-node-lease'].includes(place.name)) {
      throw forbidden(place.resource, place.name, 'this namespace may not be deleted')
    }
    const { object } = await this.#read(place)
    this.#assertServing()
    for (const plural of ['secrets', 'configmaps', 'leases']) {
      const { keyValues } = this.#etcd.range(`/registry/${plural}/${place.name}/`)
      for (const { key, modRevision } of keyValues) this.#etcd.delete(key, modRevision)
    }
    const key = keyOf(place)
    this.#etcd.delete(key, this.#etcd.get(key)?.modRevision ?? 0)
    const deletionTimestamp = `${new Date().toISOString().slice(0, 19)}Z`
    const terminating = place.resource.prepare({ ...object, metadata: { ...object.metadata, deletionTimestamp } })
    return withRevision(canonical(terminating, place.resource.fields), this.#etcd.revision)
  }

  /** Overwrites what is stored without admission and validation, as an older version or a restored backup leaves it. */
  async plant(place: Place, change: (existing: KubernetesObject) => KubernetesObject): Promise<void> {
    const { object, modRevision } = await this.#read(place)
    const planted = canonical(withoutRevision(change(object)), place.resource.fields)
    await this.#write(place.resource, keyOf(place), encode(planted), modRevision)
  }

  /**
   * Reads from etcd, changes, and writes unless nothing changed and the bytes are as this API server would write them now;
   * from the beginning when somebody else wrote in between.
   */
  async #guaranteedUpdate(
    place: Place,
    { dryRun }: WriteOptions,
    change: (existing: KubernetesObject) => KubernetesObject
  ): Promise<KubernetesObject> {
    const { resource, namespace, name } = place
    for (;;) {
      const existing = await this.#read(place)
      const changed = change(existing.object)
      const expected = changed.metadata.resourceVersion ?? ''
      if (expected !== '' && expected !== String(existing.modRevision)) throw conflict(resource, name)
      const updated =
        changed === existing.object
          ? changed
          : { ...changed, metadata: kept(changed.metadata, existing.object.metadata) }
      this.#interference.admit(place)
      const causes = [
        ...metadataCauses(changed.metadata, existing.object.metadata),
        ...resource.validate(updated, existing.object)
      ]
      if (causes.length > 0) throw invalid(resource, name, causes)
      const next = canonical(withoutRevision(updated), resource.fields)
      const bytes = encode(next)
      if (dryRun || (!existing.stale && bytes.equals(existing.plaintext))) {
        return withRevision(next, existing.modRevision)
      }
      const revision = await this.#write(resource, keyOf({ resource, namespace, name }), bytes, existing.modRevision)
      if (revision !== undefined) return withRevision(next, revision)
    }
  }

  async #read(place: Place): Promise<Stored> {
    const keyValue = this.#etcd.get(keyOf(place))
    if (keyValue === undefined) throw notFound(place.resource, place.name)
    return this.#decode(place.resource, keyValue, 'get')
  }

  async #decode(resource: Resource, { key, value, modRevision }: KeyValue, verb: 'get' | 'list'): Promise<Stored> {
    let read
    try {
      read = resource.encrypted ? await this.#encrypted.fromStorage(value, key) : { plaintext: value, stale: false }
    } catch (error) {
      if (!(error instanceof TransformError)) throw error
      throw internalError(
        verb === 'get' ? error.message : `unable to transform key ${JSON.stringify(key)}: ${error.message}`
      )
    }
    const { plaintext, stale } = read
    const text = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length).toString()
    let object: KubernetesObject
    try {
      object = JSON.parse(text) as KubernetesObject
    } catch {
      throw new StatusError(500, undefined, 'the object in etcd is not JSON')
    }
    return { object: withRevision(object, modRevision), plaintext, stale, modRevision }
  }

  async #write(resource: Resource, key: string, plaintext: Uint8Array, expected: number): Promise<number | undefined> {
    let value
    try {
      value = resource.encrypted ? await this.#encrypted.toStorage(plaintext, key) : plaintext
    } catch (error) {
      if (!(error instanceof TransformError)) throw error
      throw internalError(error.message)
    }
    this.#assertServing()
    return this.#etcd.put(key, value, expected)
  }

  #assertServing(): void {
    if (this.#retired) throw new StatusError(503, 'ServiceUnavailable', 'apiserver is shutting down')
  }

  #startOf(options: ListOptions, prefix: string): { readonly revision: number; readonly start?: string } {
    const now = this.#etcd.revision
    if (options.continueToken !== '') {
      if (options.resourceVersion !== '' && options.resourceVersion !== '0') {
        throw badRequest('specifying resource version is not allowed when using continue')
      }
      const { revision, start } = decodeContinue(options.continueToken)
      const key = prefix + start
      if (revision < 0) return { revision: now, start: key }
      assertNotFuture(revision, now)
      if (revision < this.#etcd.compactRevision) throw expired(encodeContinue(key.slice(0, -1), prefix, -1, ''))
      return { revision, start: key }
    }
    if (options.resourceVersion === '') return { revision: now }
    const wanted = Number(options.resourceVersion)
    assertNotFuture(wanted, now)
    if (!options.exact) return { revision: now }
    if (wanted < this.#etcd.compactRevision) throw expired()
    return { revision: wanted }
  }

  async #assertNamespaceTakes({ resource, namespace, name }: Place): Promise<void> {
    const place = { resource: namespaces, namespace: '', name: namespace }
    const { object } = await this.#read(place)
    if (object.metadata.deletionTimestamp === undefined) return
    throw forbidden(
      resource,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace'
        }
      ]
    )
  }
}

export const keyOf = ({ resource, namespace, name }: Place): string =>
  `/registry/${resource.plural}/${namespace === '' ? '' : `${namespace}/`}${name}`

const encode = (object: KubernetesObject): Buffer => Buffer.from(JSON.stringify(object))

const preconditionFailed = (wanted: string, present = ''): string =>
  `the UID in the precondition (${wanted}) does not match the UID in record (${present}). The object might have been deleted and then recreated`

function assertNotFuture(revision: number, now: number): void {
  if (revision <= now) return
  throw timeout(`Too large resource version: ${revision}, current: ${now}`, 1, [
    { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }
  ])
}
