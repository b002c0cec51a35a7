import { ActionError } from '../errors.ts'
import type { Log } from '../log.ts'
import { EMPTY_RECORD, type ClusterRecord, type Goal } from '../model/goal.ts'
import { asObject, asText, isJsonObject, type Json, type JsonObject } from '../model/json.ts'
import type { KmsProfile } from '../model/kms-profile.ts'
import { jsonOf, refusalOf, type Api } from './api.ts'
import { JSON_BODY, LABELS, namespaceMissing, OBJECT_NAME } from './own-objects.ts'

export interface ReadRecord {
  readonly record: ClusterRecord
  /** It may not be read: what it says is unknown. */
  readonly forbidden: boolean
}

const SCHEMA_VERSION = '1'
const EXPLANATION =
  'Written by the GitHub Action aks-kms-etcd-encryption: under which Key Vault key the Secrets of this cluster were last proved to be encrypted.'

/** The ConfigMap of one namespace in which runs tell later runs what AKS does not remember. */
export class RecordStore {
  readonly #api: Api
  readonly #namespace: string
  readonly #log: Pick<Log, 'info'>

  constructor(api: Api, namespace: string, log: Pick<Log, 'info'>) {
    this.#api = api
    this.#namespace = namespace
    this.#log = log
  }

  /** An empty record where there is none. */
  async read(): Promise<ReadRecord> {
    const { configMap, forbidden } = await this.#get('read the record')
    const { record, notes } = parseRecord(configMap?.['data'] ?? {})
    for (const note of notes) this.#log.info(note)
    return { record, forbidden }
  }

  /** Replaces the record. The lock protects it from other runs; whoever else edits the ConfigMap loses. */
  async write(record: ClusterRecord): Promise<{ readonly forbidden: boolean }> {
    const doing = 'write the record'
    for (let attempt = 0; attempt < 5; attempt++) {
      const { configMap, forbidden } = await this.#get(doing)
      if (forbidden) return { forbidden }
      const metadata = asObject(configMap?.['metadata'])
      const body = JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: describe(metadata, this.#namespace),
        data: formatRecord(record)
      })
      const answer = await this.#api.request(
        configMap === undefined
          ? { method: 'POST', path: this.#collection, headers: JSON_BODY, body }
          : { method: 'PUT', path: this.#path, headers: JSON_BODY, body },
        { doing }
      )
      if (answer.status === 403) return { forbidden: true }
      if (answer.status < 300) return { forbidden: false }
      if (answer.status === 404 && configMap === undefined) throw namespaceMissing(this.#namespace)
      // 409: somebody wrote it meanwhile, or an earlier attempt of ours got through; 404: somebody deleted it.
      if (answer.status !== 409 && answer.status !== 404)
        throw new ActionError('internal-error', refusalOf(doing, answer))
    }
    throw new ActionError(
      'internal-error',
      `Something else keeps writing the ConfigMap ${this.#namespace}/${OBJECT_NAME}.`
    )
  }

  async #get(doing: string): Promise<{ configMap: JsonObject | undefined; forbidden: boolean }> {
    const answer = await this.#api.request(
      { method: 'GET', path: this.#path, headers: { accept: 'application/json' } },
      { doing }
    )
    if (answer.status === 403) return { configMap: undefined, forbidden: true }
    if (answer.status === 404) return { configMap: undefined, forbidden: false }
    if (answer.status !== 200) throw new ActionError('internal-error', refusalOf(doing, answer))
    return { configMap: jsonOf(answer), forbidden: false }
  }

  get #collection(): string {
    return `/api/v1/namespaces/${encodeURIComponent(this.#namespace)}/configmaps`
  }

  get #path(): string {
    return `${this.#collection}/${OBJECT_NAME}`
  }
}

function describe(metadata: JsonObject, namespace: string): JsonObject {
  const labels = asObject(metadata['labels'])
  const annotations = asObject(metadata['annotations'])
  return {
    ...metadata,
    name: OBJECT_NAME,
    namespace,
    labels: { ...labels, ...LABELS },
    annotations: { ...annotations, 'kubernetes.io/description': EXPLANATION }
  }
}

/** As `data` of the ConfigMap. */
export function formatRecord(record: ClusterRecord): Readonly<Record<string, string>> {
  const { goal, ...texts } = record
  const entries = Object.entries({
    schemaVersion: SCHEMA_VERSION,
    ...texts,
    goal: goal === undefined ? undefined : JSON.stringify(goal)
  })
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** A record that somebody garbled reads as if it said nothing where it is garbled; `notes` tell of that. */
export function parseRecord(data: Json): { readonly record: ClusterRecord; readonly notes: readonly string[] } {
  if (!isJsonObject(data) || Object.keys(data).length === 0) return { record: EMPTY_RECORD, notes: [] }
  if (data['schemaVersion'] !== SCHEMA_VERSION) {
    return {
      record: EMPTY_RECORD,
      notes: ['The record has another schemaVersion than this action writes, so it was not used.']
    }
  }
  const text = (name: string) => (typeof data[name] === 'string' && data[name] !== '' ? data[name] : undefined)
  const goalText = text('goal')
  const goal = goalText === undefined ? undefined : parseGoal(goalText)
  const provedAt = text('provedAt')
  return {
    record: {
      provedKeyId: text('provedKeyId'),
      previousKeyId: text('previousKeyId'),
      provedAt: provedAt !== undefined && !Number.isNaN(Date.parse(provedAt)) ? provedAt : undefined,
      provedBy: text('provedBy'),
      approvedPlan: text('approvedPlan'),
      goal
    },
    notes:
      goalText !== undefined && goal === undefined ? ['The goal in the record can’t be read, so it was not used.'] : []
  }
}

function parseGoal(text: string): Goal | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isJsonObject(value)) return undefined
  const { operation, kms: kmsValue, fromKeyId, kubernetesVersion, retiring, ...unknown } = value
  const kms = parseKmsProfile(kmsValue)
  // What a later version of this action has added would be left undone.
  if (kms === undefined || typeof operation !== 'string' || Object.keys(unknown).length > 0) return undefined
  if (!isOptionalText(fromKeyId) || !isOptionalText(kubernetesVersion) || !isOptionalText(retiring)) return undefined
  return { operation, kms, fromKeyId, kubernetesVersion, ...(retiring !== undefined && { retiring }) }
}

function parseKmsProfile(value: unknown): KmsProfile | undefined {
  if (!isJsonObject(value)) return undefined
  const { enabled, keyId, networkAccess, vaultResourceId } = value
  if (enabled === false) return { enabled }
  if (enabled !== true || typeof keyId !== 'string' || !isOptionalText(vaultResourceId)) return undefined
  if (networkAccess !== 'Public' && networkAccess !== 'Private') return undefined
  return { enabled, keyId, networkAccess, vaultResourceId }
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || asText(value) !== ''
}
