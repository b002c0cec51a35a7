import { startDelayingProxy, type DelayingProxy } from '../../../testbed/wire/delaying-proxy.ts'
import { serve } from '../worker.ts'

/** The delaying proxy, in a process of its own. */
export type ProxyHandlers = typeof handlers

let proxy: DelayingProxy | undefined

const handlers = {
  /** Gives the port. */
  async start(options: Parameters<typeof startDelayingProxy>[0]): Promise<number> {
    proxy = await startDelayingProxy(options)
    return proxy.port
  },

  /** Bytes from and to the API server so far, TLS included. */
  count(): { readonly received: number; readonly sent: number } {
    return { received: proxy?.received ?? 0, sent: proxy?.sent ?? 0 }
  }
}

serve(handlers)
