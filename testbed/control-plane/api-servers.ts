import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { EncryptionConfiguration } from '../contract.ts'
import { startApiServer, type ApiServer, type ApiServerSettings } from './api-server.ts'
import type { Balancer } from './balancer.ts'
import { encryptionConfigurationDocument, keyIdsOf } from './encryption-configuration.ts'
import type { KmsPlugins } from './kms-plugins.ts'

/** All API servers of a control plane. */
export interface ApiServers {
  /**
   * Restarts one after the other under another configuration. A server that doesn't become ready under it is put back under
   * the one before, and the roll ends there.
   */
  roll(encryption: EncryptionConfiguration): Promise<void>
  stop(): Promise<void>
}

/** How long a server may take to finish what it has begun before its connections are cut. */
const DRAIN_PATIENCE = 2_000

export async function startApiServers(options: {
  readonly settings: ApiServerSettings
  readonly count: number
  readonly encryption: EncryptionConfiguration
  readonly plugins: KmsPlugins
  readonly balancer: Balancer
}): Promise<ApiServers> {
  const { settings, plugins, balancer } = options
  const servers: ApiServer[] = []
  let configurations = 0
  let inForce = await write(options.encryption)
  let lastRoll = Promise.resolve()

  async function write(encryption: EncryptionConfiguration): Promise<string> {
    await plugins.start(keyIdsOf(encryption))
    const path = join(settings.directory, `encryption-${++configurations}.json`)
    await writeFile(path, encryptionConfigurationDocument(encryption, plugins.endpointOf))
    return path
  }

  async function start(encryptionConfiguration: string, bootstrapped: boolean): Promise<void> {
    const server = await startApiServer(settings, { encryptionConfiguration, bootstrapped })
    servers.push(server)
    balancer.admit(server.port)
  }

  async function takeDown(server: ApiServer): Promise<void> {
    servers.splice(servers.indexOf(server), 1)
    balancer.exclude(server.port)
    server.terminate()
    await balancer.drain(server.port, DRAIN_PATIENCE)
    await server.kill()
  }

  async function roll(encryption: EncryptionConfiguration): Promise<void> {
    const wanted = await write(encryption)
    for (const server of [...servers]) {
      await takeDown(server)
      try {
        await start(wanted, true)
      } catch (error) {
        await start(inForce, true)
        throw error
      }
    }
    inForce = wanted
    plugins.retain(keyIdsOf(encryption))
  }

  async function stop(): Promise<void> {
    await lastRoll
    await Promise.all(servers.map((server) => server.kill()))
    plugins.retain(new Set())
  }

  try {
    await Promise.all(Array.from({ length: options.count }, () => start(inForce, false)))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    roll(encryption) {
      const done = lastRoll.then(() => roll(encryption))
      lastRoll = done.catch(() => undefined)
      return done
    },
    stop
  }
}
