import { createHash } from 'node:crypto'

/** The metrics of kube-apiserver that tell which keys are in use, in Prometheus' text format. */

type Labels = Readonly<Record<string, string>>

interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  /** By the text of their labels, braces and all; empty where there are none. */
  readonly samples: Map<string, number>
}

const prefix = 'apiserver_envelope_encryption'

export class Metrics {
  /** Seconds since the epoch. */
  readonly startedAt = Date.now() / 1000
  readonly #apiServerIdHash: string
  readonly #configuration = family(
    'apiserver_encryption_config_controller_last_config_info',
    'gauge',
    '[ALPHA] Information about the last applied encryption configuration with hash as label, split by apiserver identity.'
  )
  readonly #start = family(
    'process_start_time_seconds',
    'gauge',
    'Start time of the process since unix epoch in seconds.'
  )
  readonly #operations = family(
    'apiserver_storage_transformation_operations_total',
    'counter',
    "[ALPHA] Total number of transformations. Successful transformation will have a status 'OK' and a varied status string when the transformation fails."
  )
  readonly #keyIdTotal = family(
    `${prefix}_key_id_hash_total`,
    'counter',
    '[ALPHA] Number of times a keyID is used split by transformation type, provider, and apiserver identity.'
  )
  readonly #keyIdLast = family(
    `${prefix}_key_id_hash_last_timestamp_seconds`,
    'gauge',
    '[ALPHA] The last time in seconds when a keyID was used.'
  )
  readonly #keyIdStatus = family(
    `${prefix}_key_id_hash_status_last_timestamp_seconds`,
    'gauge',
    '[ALPHA] The last time in seconds when a keyID was returned by the Status RPC call.'
  )

  /** @param configuration - the text of the EncryptionConfiguration. */
  constructor(apiServerId: string, configuration: string) {
    this.#apiServerIdHash = sha256(apiServerId)
    const labels = { apiserver_id_hash: this.#apiServerIdHash, hash: sha256(configuration) }
    set(this.#configuration, labels, 1)
    set(this.#start, {}, this.startedAt)
  }

  recordTransformation(type: 'from_storage' | 'to_storage', transformerPrefix: string, status: string): void {
    add(this.#operations, {
      resource: 'secrets',
      status,
      transformation_type: type,
      transformer_prefix: transformerPrefix
    })
  }

  recordKeyId(type: 'from_storage' | 'to_storage', providerName: string, keyId: string): void {
    const labels = {
      apiserver_id_hash: this.#apiServerIdHash,
      key_id_hash: sha256(keyId),
      provider_name: providerName,
      transformation_type: type
    }
    add(this.#keyIdTotal, labels)
    set(this.#keyIdLast, labels, Date.now() / 1000)
  }

  recordKeyIdFromStatus(providerName: string, keyId: string): void {
    const labels = {
      apiserver_id_hash: this.#apiServerIdHash,
      key_id_hash: sha256(keyId),
      provider_name: providerName
    }
    set(this.#keyIdStatus, labels, Date.now() / 1000)
  }

  text(): string {
    return [this.#configuration, this.#keyIdLast, this.#keyIdStatus, this.#keyIdTotal, this.#operations, this.#start]
      .filter(({ samples }) => samples.size > 0)
      .map(
        ({ name, help, type, samples }) =>
          `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n` +
          [...samples].map(([labels, value]) => `${name}${labels} ${inGo(value)}\n`).join('')
      )
      .join('')
  }
}

const family = (name: string, type: Family['type'], help: string): Family => ({ name, help, type, samples: new Map() })

const add = ({ samples }: Family, labels: Labels): void => {
  const key = labelText(labels)
  samples.set(key, (samples.get(key) ?? 0) + 1)
}

const set = ({ samples }: Family, labels: Labels, value: number): void => {
  samples.set(labelText(labels), value)
}

function labelText(labels: Labels): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return texts.length === 0 ? '' : `{${texts.join(',')}}`
}

/** As Go's `strconv.FormatFloat(value, 'g', -1, 64)` writes what is 0 or at least 1. */
const inGo = (value: number): string =>
  value < 1e6 ? String(value) : value.toExponential().replace(/e\+(\d)$/, 'e+0$1')

const hashes = new Map<string, string>()

function sha256(text: string): string {
  const known = hashes.get(text)
  if (known !== undefined) return known
  const hash = `sha256:${createHash('sha256').update(text).digest('hex')}`
  hashes.set(text, hash)
  return hash
}
