import { Agent, request } from 'node:https'

import type { Target } from '../target.ts'
import { serve } from '../worker.ts'

/**
 * An ordinary client of the cluster: every 50 ms it reads and writes a ConfigMap of its own, however long the answers take.
 * What it waits for them is what others feel of a run.
 */
export type BystanderHandlers = typeof handlers

/** Milliseconds of every answer. */
export interface Latencies {
  readonly get: readonly number[]
  readonly put: readonly number[]
  readonly failed: number
}

const INTERVAL_MS = 50
const COLLECTION = '/api/v1/namespaces/default/configmaps'
const NAME = 'bench-bystander'

let finish: (() => Promise<Latencies>) | undefined

const handlers = {
  /** The first exchange, which is not counted, opens the connection. */
  async begin(target: Target): Promise<void> {
    const client = connectTo(target)
    await client.send('POST', COLLECTION, 0)
    finish = await watch(client)
  },

  async end(): Promise<Latencies> {
    const latencies = await finish?.()
    finish = undefined
    return latencies ?? { get: [], put: [], failed: 0 }
  }
}

serve(handlers)

async function watch(client: Client): Promise<() => Promise<Latencies>> {
  const found = { get: [] as number[], put: [] as number[], failed: 0 }
  const underWay = new Set<Promise<void>>()
  let ticks = 0
  await client.send('GET', `${COLLECTION}/${NAME}`)

  const timed = async (into: number[], method: string, content?: number): Promise<void> => {
    const startedAt = performance.now()
    const status = await client.send(method, `${COLLECTION}/${NAME}`, content)
    if (status === 200) into.push(Math.round((performance.now() - startedAt) * 10) / 10)
    else found.failed++
  }
  const timer = setInterval(() => {
    const tick = ++ticks
    const exchange = timed(found.get, 'GET')
      .then(() => timed(found.put, 'PUT', tick))
      .catch(() => {
        found.failed++
      })
      .finally(() => underWay.delete(exchange))
    underWay.add(exchange)
  }, INTERVAL_MS)

  return async () => {
    clearInterval(timer)
    await Promise.all(underWay)
    client.close()
    return found
  }
}

interface Client {
  /** Gives the status. */
  send(method: string, path: string, content?: number): Promise<number>
  close(): void
}

function connectTo({ port, certificateAuthority, certificate, key }: Target): Client {
  const agent = new Agent({ keepAlive: true, ca: certificateAuthority, cert: certificate, key })
  return {
    async send(method, path, content) {
      const body =
        content === undefined
          ? undefined
          : JSON.stringify({
              apiVersion: 'v1',
              kind: 'ConfigMap',
              metadata: { name: NAME },
              data: { content: String(content) }
            })
      return new Promise((resolve, reject) => {
        const headers = body === undefined ? {} : { 'content-type': 'application/json' }
        const outgoing = request({ host: '127.0.0.1', port, agent, method, path, headers }, (response) => {
          response.resume()
          response.on('error', reject)
          response.on('end', () => resolve(response.statusCode ?? 0))
        })
        outgoing.on('error', reject)
        outgoing.end(body)
      })
    },
    close: () => agent.destroy()
  }
}
