import { createHash } from 'node:crypto'

/** The metrics of kube-apiserver that tell which keys are in use, in Prometheus' text format. */

type Labels = Readonly<Record<string, string>>

interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: Map<string, number>
}

const prefix = 'apiserver_envelope_encryption'

export class Metrics {
  /** As kube-apiserver hashes its own id: of the host, so that it outlives a restart. */
  readonly #apiServerIdHash: string
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

  constructor(apiServerId: string) {
    this.#apiServerIdHash = sha256(apiServerId)
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
    return [this.#keyIdTotal, this.#keyIdLast, this.#keyIdStatus, this.#operations]
      .filter(({ samples }) => samples.size > 0)
      .map(
        ({ name, help, type, samples }) =>
          `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n` +
          [...samples].map(([labels, value]) => `${name}{${labels}} ${value}\n`).join('')
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

const labelText = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')

const hashes = new Map<string, string>()

function sha256(text: string): string {
  const known = hashes.get(text)
  if (known !== undefined) return known
  const hash = `sha256:${createHash('sha256').update(text).digest('hex')}`
  hashes.set(text, hash)
  return hash
}
