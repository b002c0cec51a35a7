import type { KubernetesEndpoint } from './connection.ts'
import { Transport, TransportError, type HttpAnswer, type HttpRequest } from './transport.ts'

export interface ReadinessOptions {
  readonly endpoint: KubernetesEndpoint
  readonly signal?: AbortSignal | undefined
}

/** Why an API server is not ready. */
export interface Obstacle {
  /** One sentence. */
  readonly sentence: string
  /** Whether it answers at all. */
  readonly answers: boolean
}

/** A load balancer leads each of them to one of the API servers. */
const CONNECTIONS = 4

/** How long an answer is waited for, in milliseconds. */
const TIMEOUT = 5_000

/** With KMS this asks its plugins too. Every user may get it, by the ClusterRole `system:public-info-viewer`. */
const READYZ: HttpRequest = { method: 'GET', path: '/readyz', headers: { accept: 'text/plain' } }

/**
 * Why not every API server that was met over new connections is ready, by asking once; undefined: all are, or may not be asked.
 * Rejects with the signal's reason.
 */
export async function findObstacle(options: ReadinessOptions): Promise<Obstacle | undefined> {
  const found = await Promise.all(Array.from({ length: CONNECTIONS }, () => ask(options)))
  const obstacles = found.filter((obstacle) => obstacle !== undefined)
  return obstacles.find(({ answers }) => answers) ?? obstacles[0]
}

async function ask({ endpoint, signal }: ReadinessOptions): Promise<Obstacle | undefined> {
  const transport = new Transport({ endpoint, signal, timeout: TIMEOUT })
  try {
    const answer = await transport.request(READYZ)
    if (answer instanceof TransportError) {
      return { sentence: `The API server ${endpoint.server.host} does not answer: ${answer.code}.`, answers: false }
    }
    return answer.status >= 500 ? { sentence: failureOf(answer), answers: true } : undefined
  } finally {
    transport.close()
  }
}

/** The body has a line for each check: `[-]kms-providers failed: reason withheld`. */
function failureOf({ status, body }: HttpAnswer): string {
  const failed = [...body.toString().matchAll(/^\[-\](\S+)/gm)].map(([, check]) => check)
  return failed.length === 0
    ? `An API server answers ${String(status)} to /readyz.`
    : `An API server fails at its own checks of ${failed.join(', ')} (/readyz).`
}
