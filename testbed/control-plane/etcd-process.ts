import { join } from 'node:path'

import { connectEtcd, type EtcdClient } from '../etcd/client.ts'
import { startServerProcess } from './server-process.ts'

export interface Etcd {
  /** What the API server calls it in `--etcd-servers`. */
  readonly endpoint: string
  readonly client: EtcdClient
  stop(): Promise<void>
}

/** Every version of a value stays until the API servers compact etcd, every five minutes: many large Secrets need room. */
const MOST_BYTES = 8 * 2 ** 30

export interface EtcdOptions {
  readonly binary: string
  readonly directory: string
  /** Whether what is written is on the disk before it counts as written, as in any cluster that people rely on. */
  readonly durable: boolean
}

/** One etcd on a unix socket, so that it needs no port, in a new directory, so that it begins empty. */
export async function startEtcd({ binary, directory, durable }: EtcdOptions): Promise<Etcd> {
  const socket = join(directory, 'etcd.sock')
  const server = startServerProcess({
    program: binary,
    args: [
      `--data-dir=${join(directory, 'etcd')}`,
      `--listen-client-urls=unix://${socket}`,
      // Nobody asks for the advertised address, but etcd insists on one that is no socket.
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:0',
      ...(durable ? [] : ['--unsafe-no-fsync']),
      `--quota-backend-bytes=${MOST_BYTES}`,
      '--log-level=warn'
    ],
    log: join(directory, 'etcd.log')
  })
  const client = connectEtcd(socket)

  async function stop(): Promise<void> {
    client.close()
    await server.kill()
  }

  try {
    await server.waitUntil(() => client.healthy())
  } catch (error) {
    await stop()
    throw error
  }
  return { endpoint: `unix://${socket}`, client, stop }
}
