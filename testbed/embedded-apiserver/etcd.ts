/** What the embedded API server needs of etcd: revisions, compare-and-swap, ranges of the past, compaction. */

export interface KeyValue {
  readonly key: string
  readonly value: Uint8Array
  readonly modRevision: number
}

export interface Range {
  readonly keyValues: readonly KeyValue[]
  /** How many keys follow the last one returned. */
  readonly remaining: number
}

interface Version {
  readonly revision: number
  /** Undefined where the key was deleted. */
  readonly value: Uint8Array | undefined
}

/** As kube-apiserver asks of etcd. */
const compactionIntervalMs = 5 * 60_000

export class Etcd {
  readonly #histories = new Map<string, Version[]>()
  /** Every key that has a history, in order. */
  readonly #keys: string[] = []
  #revision = 1
  #compactRevision = 0
  #mark = { at: Date.now(), revision: 1 }

  get revision(): number {
    return this.#revision
  }

  /** Ranges of revisions below this one are refused. */
  get compactRevision(): number {
    return this.#compactRevision
  }

  get(key: string): KeyValue | undefined {
    return versionAt(key, this.#histories.get(key), this.#revision)
  }

  /** Writes if the key still is at the revision expected, 0 standing for a key that is not there. */
  put(key: string, value: Uint8Array, expectedRevision: number): number | undefined {
    return this.#append(key, value, expectedRevision)
  }

  delete(key: string, expectedRevision: number): number | undefined {
    return this.#append(key, undefined, expectedRevision)
  }

  range(prefix: string, options: { start?: string; limit?: number; revision?: number } = {}): Range {
    const { start = prefix, limit = Infinity, revision = this.#revision } = options
    const keyValues: KeyValue[] = []
    let remaining = 0
    for (let index = this.#indexOf(start < prefix ? prefix : start); ; index++) {
      const key = this.#keys[index]
      if (!key?.startsWith(prefix)) return { keyValues, remaining }
      const found = versionAt(key, this.#histories.get(key), revision)
      if (found === undefined) continue
      if (keyValues.length < limit) keyValues.push(found)
      else remaining++
    }
  }

  /** Forgets what was before the revision; by default, everything but the present. */
  compact(revision = this.#revision): void {
    this.#compactRevision = Math.max(this.#compactRevision, revision)
    for (const [key, versions] of this.#histories) {
      const kept = versions.findLastIndex((version) => version.revision <= revision)
      if (kept > 0) versions.splice(0, kept)
      if (versions.length === 1 && versions[0]?.value === undefined) {
        this.#histories.delete(key)
        this.#keys.splice(this.#indexOf(key), 1)
      }
    }
  }

  #append(key: string, value: Uint8Array | undefined, expectedRevision: number): number | undefined {
    if ((this.get(key)?.modRevision ?? 0) !== expectedRevision) return undefined
    this.#compactOnTime()
    this.#revision++
    const version = { revision: this.#revision, value }
    const history = this.#histories.get(key)
    if (history === undefined) {
      this.#histories.set(key, [version])
      this.#keys.splice(this.#indexOf(key), 0, key)
    } else history.push(version)
    return this.#revision
  }

  #compactOnTime(): void {
    const now = Date.now()
    if (now - this.#mark.at < compactionIntervalMs) return
    this.compact(this.#mark.revision)
    this.#mark = { at: now, revision: this.#revision }
  }

  /** The place of the key, or of the first one after it. */
  #indexOf(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle] ?? '') < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

function versionAt(key: string, versions: readonly Version[] | undefined, revision: number): KeyValue | undefined {
  const version = versions?.findLast((candidate) => candidate.revision <= revision)
  return version?.value === undefined ? undefined : { key, value: version.value, modRevision: version.revision }
}
