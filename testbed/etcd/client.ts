import { Agent, request } from 'node:http'
import { json } from 'node:stream/consumers'

export interface KeyValue {
  readonly key: string
  readonly value: Buffer
  /** The revision in which the value was written. */
  readonly revision: number
}

/** Reads etcd's keys over its JSON gateway. */
export interface EtcdClient {
  healthy(): Promise<boolean>
  /** Everything whose key begins with the prefix, as of one revision. */
  list(prefix: string): Promise<readonly KeyValue[]>
  close(): void
}

const PAGE = 1_000
const ZERO = Buffer.from([0])

export function connectEtcd(socket: string): EtcdClient {
  const agent = new Agent({ keepAlive: true })

  async function call(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const outgoing = request({ socketPath: socket, agent, method, path }, (response) => {
      const answer = json(response)
      if (response.statusCode === 200) answer.then(resolve, reject)
      else answer.then((fault) => reject(new Error(`etcd: ${path}: ${JSON.stringify(fault)}`)), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    return promise
  }

  async function range(from: Buffer, end: Buffer, revision: string | undefined): Promise<RangeResponse> {
    const query = { key: from.toString('base64'), range_end: end.toString('base64'), limit: PAGE, revision }
    return (await call('POST', '/v3/kv/range', query)) as RangeResponse
  }

  return {
    async healthy() {
      try {
        const answer = (await call('GET', '/health')) as { readonly health: string }
        return answer.health === 'true'
      } catch {
        return false
      }
    },
    async list(prefix) {
      const end = afterPrefix(Buffer.from(prefix))
      const found: KeyValue[] = []
      let page = await range(Buffer.from(prefix), end, undefined)
      for (;;) {
        const entries = page.kvs ?? []
        found.push(...entries.map(keyValue))
        const last = entries.at(-1)
        if (page.more !== true || last === undefined) return found
        page = await range(Buffer.concat([Buffer.from(last.key, 'base64'), ZERO]), end, page.header.revision)
      }
    },
    close() {
      agent.destroy()
    }
  }
}

/** The gateway leaves out what is empty or false, and writes 64-bit numbers as text. */
interface RangeResponse {
  readonly header: { readonly revision: string }
  readonly kvs?: readonly { readonly key: string; readonly value?: string; readonly mod_revision: string }[]
  readonly more?: boolean
}

function keyValue(entry: NonNullable<RangeResponse['kvs']>[number]): KeyValue {
  return {
    key: Buffer.from(entry.key, 'base64').toString('utf8'),
    value: Buffer.from(entry.value ?? '', 'base64'),
    revision: Number(entry.mod_revision)
  }
}

/** The first key behind all that begin with the prefix. */
function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  const last = end.length - 1
  end[last] = (end[last] ?? 0) + 1
  return end
}
