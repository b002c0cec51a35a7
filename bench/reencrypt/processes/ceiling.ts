import { connect, type ClientHttp2Session } from 'node:http2'

import { emptyPatch } from '../../../src/kubernetes/reencryption.ts'
import { nameAt, type Population } from '../population.ts'
import type { Target } from '../target.ts'
import { measureUsage, serve, type Usage } from '../worker.ts'

/** A client that knows all names beforehand and only counts answers: what the API server can do at all. */
export type CeilingHandlers = typeof handlers

const CONNECTIONS = 4

/** What the action sends: the path is only the query here. */
const { method, path: QUERY, headers, body: BODY } = emptyPatch('')
const HEADERS = { ':method': method, 'user-agent': 'aks-kms-etcd-encryption', ...headers }

const handlers = {
  /** Patches `secrets` Secrets from index `from` on, once each, always `concurrency` at a time. Gives how many answers were 200. */
  async patch(task: {
    readonly target: Target
    readonly population: Population
    readonly from: number
    readonly secrets: number
    readonly concurrency: number
  }): Promise<{ readonly usage: Usage; readonly result: number }> {
    return await measureUsage(async () => {
      const sessions = Array.from({ length: CONNECTIONS }, () => open(task.target))
      const end = task.from + task.secrets
      let next = task.from
      let succeeded = 0
      const lane = async (session: ClientHttp2Session): Promise<void> => {
        while (next < end) {
          const { namespace, name } = nameAt(task.population, next++)
          if ((await patch(session, `/api/v1/namespaces/${namespace}/secrets/${name}${QUERY}`)) === 200) succeeded++
        }
      }
      await Promise.all(sessions.flatMap((session, index) => lanesOf(task.concurrency, index).map(() => lane(session))))
      for (const session of sessions) session.close()
      return succeeded
    })
  }
}

serve(handlers)

function open({ port, certificateAuthority, certificate, key }: Target): ClientHttp2Session {
  return connect(`https://127.0.0.1:${String(port)}`, { ca: certificateAuthority, cert: certificate, key })
}

/** The share of one connection. */
function lanesOf(concurrency: number, connection: number): readonly undefined[] {
  const share = Math.floor((concurrency + connection) / CONNECTIONS)
  return Array.from({ length: share }, () => undefined)
}

async function patch(session: ClientHttp2Session, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ...HEADERS, ':path': path })
    let status = 0
    stream.on('response', (headers) => (status = headers[':status'] ?? 0))
    stream.on('error', reject)
    stream.on('end', () => resolve(status))
    stream.resume()
    stream.end(BODY)
  })
}
