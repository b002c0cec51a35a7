/** What an API server's metrics say of its encryption. Times are in milliseconds since the epoch, by its own clock. */
export interface EncryptionMetrics {
  /** `apiserver_id_hash`; where no metric carries it, as before Kubernetes 1.29, `started-<ms>`, which tells processes apart too. */
  readonly id: string
  readonly startedAt: number
  readonly keys: readonly MeteredKey[]
  /** Of the transformers that have read or written anything, such as `k8s:enc:kms:v1:azurekms:`. */
  readonly prefixes: ReadonlySet<string>
}

/** The last use of one key of a KMS v2 provider; undefined: none since the start. */
export interface MeteredKey {
  /** `sha256:<hex>` */
  readonly keyIdHash: string
  readonly provider: string
  readonly status: number | undefined
  readonly read: number | undefined
  readonly write: number | undefined
}

const KEY_USED = 'apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds'
const KEY_NAMED = 'apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds'
const CONFIGURED = 'apiserver_encryption_config_controller_last_config_info'
const TRANSFORMED = 'apiserver_storage_transformation_operations_total'
const STARTED = 'process_start_time_seconds'
const NAMES = [KEY_USED, KEY_NAMED, CONFIGURED, TRANSFORMED, STARTED].join('|')
const SAMPLE = new RegExp(`^(${NAMES})(?:\\{(.*)\\})? (\\S+)`, 'gm')
const LINE = new RegExp(`^(?:${NAMES})[{ ].*$`, 'gm')
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g

/**
 * The lines of metrics that `readEncryptionMetrics` reads, out of the text in pieces: an API server has some megabytes of others.
 * Throws RangeError where the whole has more than `most` characters.
 */
export async function encryptionLines(pieces: AsyncIterable<string>, most: number): Promise<string> {
  const lines: string[] = []
  let length = 0
  let rest = ''
  for await (const piece of pieces) {
    length += piece.length
    if (length > most) throw new RangeError('There are more metrics than an API server has.')
    const text = rest + piece
    const end = text.lastIndexOf('\n') + 1
    lines.push(...(text.slice(0, end).match(LINE) ?? []))
    rest = text.slice(end)
  }
  return [...lines, ...(rest.match(LINE) ?? [])].join('\n')
}

/**
 * Reads Prometheus' text format; undefined when it is not an API server's.
 * Source: kubernetes.io/docs/reference/instrumentation/metrics, k8s.io/apiserver/pkg/storage/value/encrypt/envelope/metrics
 */
export function readEncryptionMetrics(text: string): EncryptionMetrics | undefined {
  const keys = new Map<string, { -readonly [Name in keyof MeteredKey]: MeteredKey[Name] }>()
  const prefixes = new Set<string>()
  let id: string | undefined
  let startedAt: number | undefined
  for (const [, name, labelText = '', valueText] of text.matchAll(SAMPLE)) {
    const labels = new Map([...labelText.matchAll(LABEL)].map(([, label = '', value = '']) => [label, value]))
    const milliseconds = Math.round(Number(valueText) * 1000)
    id ??= labels.get('apiserver_id_hash')
    if (name === STARTED) startedAt = milliseconds
    if (name === TRANSFORMED) prefixes.add(labels.get('transformer_prefix') ?? '')
    if (name !== KEY_USED && name !== KEY_NAMED) continue
    const [keyIdHash = '', provider = ''] = [labels.get('key_id_hash'), labels.get('provider_name')]
    const known = keys.get(`${provider} ${keyIdHash}`)
    const key = known ?? { keyIdHash, provider, status: undefined, read: undefined, write: undefined }
    if (known === undefined) keys.set(`${provider} ${keyIdHash}`, key)
    const use = name === KEY_NAMED ? 'status' : labels.get('transformation_type') === 'to_storage' ? 'write' : 'read'
    key[use] = milliseconds
  }
  if (startedAt === undefined) return undefined
  return { id: id ?? `started-${String(startedAt)}`, startedAt, keys: [...keys.values()], prefixes }
}
