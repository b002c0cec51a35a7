import type { IncomingHttpHeaders } from 'node:http2'
import { constants, gunzipSync } from 'node:zlib'

/** Where something was found in what a client received. */
export interface Hit {
  readonly needle: string
  readonly path: string
  readonly in: 'headers' | 'body'
}

/** One answer, or as much of it as came. */
export class RecordedAnswer {
  /** Of the request. */
  readonly path: string
  readonly #headers: IncomingHttpHeaders[] = []
  readonly #chunks: Buffer[] = []

  constructor(path: string) {
    this.path = path
  }

  /** Headers or trailers. */
  addHeaders(headers: IncomingHttpHeaders): void {
    this.#headers.push(headers)
  }

  addChunk(chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  /** Octets of the body as they came. */
  get length(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0)
  }

  search(needles: readonly string[]): readonly Hit[] {
    const headers = this.#headers.flatMap((one) => Object.entries(one).flat(2)).join('\n')
    const places = { headers: Buffer.from(headers), body: this.#body() }
    return (['headers', 'body'] as const).flatMap((place) =>
      needles
        .filter((needle) => places[place].includes(needle))
        .map((needle) => ({ needle, path: this.path, in: place }))
    )
  }

  /** In clear, also where the end is missing. Throws for a coding that is unknown here, in which anything could hide. */
  #body(): Buffer {
    const body = Buffer.concat(this.#chunks)
    const coding = this.#headers.find((headers) => headers['content-encoding'] !== undefined)?.['content-encoding']
    if (coding === undefined || coding === 'identity') return body
    if (coding !== 'gzip')
      throw new Error(`The answer to ${this.path} is in a coding that can't be searched: ${coding}.`)
    return gunzipSync(body, { finishFlush: constants.Z_SYNC_FLUSH })
  }
}
