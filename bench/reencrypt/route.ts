import type { BystanderHandlers, Latencies } from './processes/bystander.ts'
import type { ProxyHandlers } from './processes/proxy.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import { targetOf, type Target } from './target.ts'
import { startWorker } from './worker.ts'

/** What a way was seen to do on the wire and to others. */
export interface Observations {
  /** From the API server and to it, TLS included. */
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly bystander: Latencies
}

/** The address that all ways reach the API server by, through a proxy of one round trip. */
export interface Route {
  readonly rttMs: number
  readonly target: Target
  /** Counts bytes, and lets the bystander, who has no round trip to wait for, do its work meanwhile. */
  observe<Result>(work: () => Promise<Result>): Promise<{ result: Result; observations: Observations }>
  stop(): Promise<void>
}

export async function openRoute(controlPlane: RealControlPlane, rttMs: number): Promise<Route> {
  const direct = targetOf(controlPlane)
  const proxy = startWorker<ProxyHandlers>('proxy.ts')
  const bystander = startWorker<BystanderHandlers>('bystander.ts')
  const stop = async (): Promise<void> => {
    await Promise.all([proxy.stop(), bystander.stop()])
  }
  try {
    const port = await proxy.call('start', { target: { port: direct.port }, rttMs })
    return {
      rttMs,
      target: targetOf(controlPlane, port),
      async observe(work) {
        await bystander.call('begin', direct)
        const before = await proxy.call('count', undefined)
        const result = await work()
        const after = await proxy.call('count', undefined)
        return {
          result,
          observations: {
            receivedBytes: after.received - before.received,
            sentBytes: after.sent - before.sent,
            bystander: await bystander.call('end', undefined)
          }
        }
      },
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}
