/** What is known of the API servers behind the cluster's address. Hashes are those of their metrics, `sha256:<hex>`; times are ISO 8601 by their clocks. */

/** How one API server has used one key of a KMS v2 provider since it started; undefined: not at all. */
export interface KeyUse {
  /** `key_id_hash` */
  readonly keyIdHash: string
  /** Whether it is the key version of the cluster’s profile. */
  readonly wanted: boolean
  readonly provider: string
  /** When the KMS plugin last named it as its key. */
  readonly lastStatusAt: string | undefined
  readonly lastReadAt: string | undefined
  readonly lastWriteAt: string | undefined
}

/**
 * `current`: nothing says that it would write a Secret otherwise than the profile has it. `behind`: it does not know the
 * profile’s key yet, or has just written under another. `unknown`: its metrics name no key.
 */
export type ApiServerState = 'current' | 'behind' | 'unknown'

export interface ApiServer {
  /** `apiserver_id_hash`; before Kubernetes 1.29 `started-<ms since the epoch>`. */
  readonly id: string
  readonly state: ApiServerState
  readonly startedAt: string
  readonly keys: readonly KeyUse[]
}

/**
 * What a proof rests on beside its passes.
 * `metrics`: every API server that was met told its keys. `passes`: the metrics were of no use, for the reason given.
 */
export interface Evidence {
  readonly basis: 'metrics' | 'passes'
  /** Undefined with `metrics`. `no-kms`: no API server names a key of KMS v2. `other-names`: none of the keys they name is known here. */
  readonly reason: 'forbidden' | 'unreadable' | 'no-kms' | 'other-names' | undefined
  /** By the last look, in the order of their ids. */
  readonly servers: readonly ApiServer[]
  /** How many there are by the Leases they keep; undefined where these can’t be read. */
  readonly live: number | undefined
  /** New connections of the last look, each of which leads to one API server. */
  readonly connections: number
  /** How long was waited for API servers to take up the key, in milliseconds. */
  readonly waitedMs: number
}

/** When a run changed the key, in milliseconds since the epoch. */
export interface KeyChange {
  readonly beganAt: number
  readonly endedAt: number
}

/** What Secrets are to be written under. `unknown`: whatever the API servers agree on. */
export type WriteKey =
  { readonly kind: 'key'; readonly keyId: string } | { readonly kind: 'none' } | { readonly kind: 'unknown' }
