import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** One address in front of several servers on this machine. It hands out connections, as AKS's load balancer does, not requests. */
export interface Balancer {
  readonly port: number
  /** New connections go to this server too from now on. */
  admit(port: number): void
  /** No new connection goes to this server any more; the present ones stay. */
  exclude(port: number): void
  /** Gives the server time to end its connections by itself, then cuts those that are left. */
  drain(port: number, patience: number): Promise<void>
  stop(): Promise<void>
}

export async function startBalancer(): Promise<Balancer> {
  const admitted: number[] = []
  const connections = new Map<Socket, number>()
  let turn = 0

  const listener = createServer({ noDelay: true }, (client) => {
    client.on('error', () => undefined)
    const port = admitted[turn++ % admitted.length]
    if (port === undefined) client.destroy()
    else join(client, port)
  })

  function join(client: Socket, port: number): void {
    const server = connect({ host: '127.0.0.1', port, noDelay: true })
    connections.set(client, port)
    server.on('error', () => undefined)
    client.pipe(server).pipe(client)
    server.on('close', () => client.destroy())
    client.on('close', () => {
      server.destroy()
      connections.delete(client)
    })
  }

  function connectionsTo(port: number): readonly Socket[] {
    return [...connections].filter(([, to]) => to === port).map(([client]) => client)
  }

  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address() as AddressInfo

  return {
    port: address.port,
    admit(port) {
      if (!admitted.includes(port)) admitted.push(port)
    },
    exclude(port) {
      const index = admitted.indexOf(port)
      if (index >= 0) admitted.splice(index, 1)
    },
    async drain(port, patience) {
      const open = connectionsTo(port).map((client) => new Promise((resolve) => client.once('close', resolve)))
      const enough = new AbortController()
      await Promise.race([Promise.all(open), sleep(patience, undefined, { signal: enough.signal })])
      enough.abort()
      for (const client of connectionsTo(port)) client.destroy()
    },
    async stop() {
      const closed = once(listener, 'close')
      listener.close()
      for (const client of connections.keys()) client.destroy()
      await closed
    }
  }
}
