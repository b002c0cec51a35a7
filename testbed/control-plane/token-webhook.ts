import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

import type { KubernetesUser } from '../contract.ts'

/** Answers the API servers' TokenReviews: who a bearer token belongs to. */
export interface TokenWebhook {
  /** The document that `--authentication-token-webhook-config-file` reads; JSON is YAML too. */
  readonly kubeconfig: string
  stop(): Promise<void>
}

export async function startTokenWebhook(
  authenticateToken: (token: string) => KubernetesUser | undefined
): Promise<TokenWebhook> {
  async function review(request: IncomingMessage): Promise<string> {
    const user = authenticateToken(await reviewedToken(request))
    return JSON.stringify({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      status: user === undefined ? { authenticated: false } : { authenticated: true, user }
    })
  }

  const server = createServer((request, response) => {
    review(request).then(
      (answer) => response.setHeader('content-type', 'application/json').end(answer),
      (error: unknown) => response.writeHead(500).end(String(error))
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    kubeconfig: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'webhook', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'api-server' }],
      contexts: [{ name: 'webhook', context: { cluster: 'webhook', user: 'api-server' } }],
      'current-context': 'webhook'
    }),
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    }
  }
}

async function reviewedToken(request: IncomingMessage): Promise<string> {
  const review = (await json(request)) as { readonly spec?: { readonly token?: unknown } }
  const token = review.spec?.token
  if (typeof token !== 'string') throw new Error('The TokenReview holds no token.')
  return token
}
