import { Agent, request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'

import type { ApiAnswer, SeedSecret } from '../contract.ts'

export interface AdminClient {
  request(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ApiAnswer>
  /** Creates the Secrets, and the namespaces that are missing. */
  seed(secrets: readonly SeedSecret[]): Promise<void>
  close(): void
}

export interface AdminCredential {
  readonly certificateAuthority: string
  readonly certificate: string
  readonly key: string
}

const CONNECTIONS = 16
const PATIENCE = 60_000
/** What the API server says of a new object. */
const METADATA_ONLY = { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' }
const ALREADY_EXISTS = 409

/** Speaks to the Kubernetes API of a port of this machine with the administrator's client certificate. */
export function connectAdmin(port: number, credential: AdminCredential): AdminClient {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: CONNECTIONS,
    ca: credential.certificateAuthority,
    cert: credential.certificate,
    key: credential.key
  })

  async function request(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {}
  ): Promise<ApiAnswer> {
    const content = body === undefined ? undefined : JSON.stringify(body)
    const type = content === undefined ? {} : { 'content-type': contentType(method) }
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>()
    const outgoing = httpsRequest(
      { host: '127.0.0.1', port, agent, method, path, headers: { accept: 'application/json', ...type, ...headers } },
      (response) => {
        text(response).then(
          (answer) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed(answer) }),
          reject
        )
      }
    )
    outgoing.setTimeout(PATIENCE, () => outgoing.destroy(new Error(`${method} ${path} got no answer.`)))
    outgoing.on('error', reject)
    outgoing.end(content)
    return promise
  }

  async function create(path: string, object: object, acceptable: readonly number[] = []): Promise<void> {
    const answer = await request('POST', path, object, METADATA_ONLY)
    if (answer.status === 201 || acceptable.includes(answer.status)) return
    throw new Error(`POST ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }

  return {
    request,
    async seed(secrets) {
      const namespaces = new Set(secrets.map(({ namespace }) => namespace))
      await inParallel(namespaces, async (name) => {
        const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
        await create('/api/v1/namespaces', namespace, [ALREADY_EXISTS])
      })
      await inParallel(secrets, async ({ namespace, name, labels, annotations, ...content }) => {
        const metadata = { namespace, name, labels, annotations }
        const secret = { apiVersion: 'v1', kind: 'Secret', metadata, ...content }
        await create(`/api/v1/namespaces/${namespace}/secrets`, secret)
      })
    },
    close() {
      agent.destroy()
    }
  }
}

function contentType(method: string): string {
  return method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer)
  } catch {
    return answer
  }
}

/** As many at a time as there are connections. */
async function inParallel<Item>(items: Iterable<Item>, work: (item: Item) => Promise<void>): Promise<void> {
  const remaining = items[Symbol.iterator]()
  async function worker(): Promise<void> {
    for (let next = remaining.next(); next.done !== true; next = remaining.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
}
