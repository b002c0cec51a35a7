import { once } from 'node:events'
import { createServer, Socket, type AddressInfo } from 'node:net'

import { DelayLine } from './delay-line.ts'

export interface DelayingProxy {
  /** On 127.0.0.1. */
  readonly port: number
  /** Bytes that came from the server so far. */
  readonly received: number
  /** Bytes that came from clients so far. */
  readonly sent: number
  /** How many there have been. */
  readonly connections: number
  stop(): Promise<void>
}

/**
 * As far away from a server as the round trip says, at any throughput. What one side sends, its end and its reset reach the
 * other one half a round trip later. A connection's opening takes a round trip too: clients think that they are connected at
 * once, but nothing that they send is on its way before that. Without a round trip it only counts.
 */
export async function startDelayingProxy(options: {
  readonly target: { readonly host?: string; readonly port: number }
  readonly rttMs: number
}): Promise<DelayingProxy> {
  const { rttMs } = options
  const { host = '127.0.0.1', port } = options.target
  const open = new Set<{ readonly client: Socket; readonly server: Socket }>()
  let connections = 0
  let received = 0
  let sent = 0

  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = new Socket({ allowHalfOpen: true }).setNoDelay(true)
    const connection = { client, server }
    open.add(connection)
    connections++

    const toServer = new DelayLine(rttMs / 2)
    toServer.push(() => server.connect({ host, port }), rttMs)
    const toClient = new DelayLine(rttMs / 2)
    pass(client, server, toServer)
    pass(server, client, toClient)

    const closed = (): void => {
      if (!client.destroyed || !server.destroyed || !open.delete(connection)) return
      received += server.bytesRead
      sent += client.bytesRead
    }
    client.on('close', closed)
    server.on('close', closed)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address() as AddressInfo

  return {
    port: address.port,
    get received() {
      return [...open].reduce((sum, { server }) => sum + server.bytesRead, received)
    },
    get sent() {
      return [...open].reduce((sum, { client }) => sum + client.bytesRead, sent)
    },
    get connections() {
      return connections
    },
    async stop() {
      const stopped = once(listener, 'close')
      listener.close()
      for (const { client, server } of open) {
        client.destroy()
        server.destroy()
      }
      await stopped
    }
  }
}

/** What is on its way when the receiver can't take any more still arrives, as on a network; the sender waits. */
function pass(from: Socket, to: Socket, line: DelayLine): void {
  from.on('data', (chunk: Buffer) => {
    line.push(() => {
      if (!to.destroyed && !to.write(chunk)) from.pause()
    })
  })
  to.on('drain', () => from.resume())
  from.on('end', () => line.push(() => to.end()))
  from.on('error', () => line.push(() => to.resetAndDestroy()))
  to.on('close', () => line.close())
}
