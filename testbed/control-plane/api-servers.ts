import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { EncryptionConfiguration } from '../contract.ts'
import { startApiServer, type ApiServer, type ApiServerSettings, type StartedWhen } from './api-server.ts'
import type { Balancer } from './balancer.ts'
import { encryptionConfigurationDocument, pluginKeysOf } from './encryption-configuration.ts'
import type { PluginKeys } from './kms-plugin.ts'
import type { KmsPlugins } from './kms-plugins.ts'

/** All API servers of a control plane. */
export interface ApiServers {
  /**
   * Restarts one after the other under another configuration. A server that doesn't become ready under it is put back under
   * the one before, and the roll ends there. Servers that are held back are left out.
   */
  roll(encryption: EncryptionConfiguration): Promise<void>
  /** Restarts one after the other as they are, whether they become ready or not; resolves when all of them answer. */
  restart(): Promise<void>
  /** From now on the last `count` servers are left out of every roll. Throws while others are held back. */
  holdBack(count: number): HeldBack
  stop(): Promise<void>
}

/** API servers that lag: they serve on under the configuration that they have, with the KMS plugins that it takes. */
export interface HeldBack {
  /** Restarts them under the configuration that the others have by now; later rolls restart them too. */
  catchUp(): Promise<void>
}

/** How long a server may take to finish what it has begun before its connections are cut. */
const DRAIN_PATIENCE = 2_000

interface Configuration {
  readonly path: string
  readonly plugins: readonly PluginKeys[]
}

/** Where a server runs, and runs again after it was restarted. */
interface Place {
  server: ApiServer | undefined
  configuration: Configuration
  heldBack: boolean
}

export async function startApiServers(options: {
  readonly settings: ApiServerSettings
  readonly count: number
  readonly encryption: EncryptionConfiguration
  readonly plugins: KmsPlugins
  readonly balancer: Balancer
}): Promise<ApiServers> {
  const { settings, plugins, balancer } = options
  let configurations = 0
  let inForce = await write(options.encryption)
  const places = Array.from({ length: options.count }, (): Place => ({
    server: undefined,
    configuration: inForce,
    heldBack: false
  }))
  let lastRoll = Promise.resolve()

  async function write(encryption: EncryptionConfiguration): Promise<Configuration> {
    const keys = pluginKeysOf(encryption)
    await plugins.start(keys)
    const path = join(settings.directory, `encryption-${++configurations}.json`)
    await writeFile(path, encryptionConfigurationDocument(encryption, plugins.endpointOf))
    return { path, plugins: keys }
  }

  async function start(place: Place, configuration: Configuration, until: StartedWhen): Promise<void> {
    place.server = await startApiServer(settings, { encryptionConfiguration: configuration.path, until })
    place.configuration = configuration
    balancer.admit(place.server.port)
  }

  async function takeDown(place: Place): Promise<void> {
    const { server } = place
    if (server === undefined) return
    place.server = undefined
    balancer.exclude(server.port)
    server.terminate()
    await balancer.drain(server.port, DRAIN_PATIENCE)
    await server.kill()
  }

  async function restart(place: Place, wanted: Configuration): Promise<void> {
    await takeDown(place)
    try {
      await start(place, wanted, 'ready-again')
    } catch (error) {
      await start(place, place.configuration, 'ready-again')
      throw error
    }
  }

  async function roll(encryption: EncryptionConfiguration): Promise<void> {
    const wanted = await write(encryption)
    for (const place of places) {
      if (!place.heldBack) await restart(place, wanted)
    }
    inForce = wanted
    retainPlugins()
  }

  async function restartAsIs(): Promise<void> {
    for (const place of places) {
      await takeDown(place)
      await start(place, place.configuration, 'answering')
    }
  }

  async function catchUp(held: readonly Place[]): Promise<void> {
    for (const place of held) place.heldBack = false
    for (const place of held) {
      if (place.configuration !== inForce) await restart(place, inForce)
    }
    retainPlugins()
  }

  function retainPlugins(): void {
    plugins.retain(places.flatMap(({ configuration }) => configuration.plugins))
  }

  /** One after the other; one that fails does not keep the next from being tried. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = lastRoll.then(work)
    lastRoll = done.catch(() => undefined)
    return done
  }

  async function stop(): Promise<void> {
    await lastRoll
    await Promise.all(places.map(async ({ server }) => server?.kill()))
    plugins.retain([])
  }

  const starts = places.map((place) => start(place, inForce, 'ready'))
  try {
    await Promise.all(starts)
  } catch (error) {
    await Promise.allSettled(starts)
    await stop()
    throw error
  }
  return {
    roll: (encryption) => inTurn(() => roll(encryption)),
    restart: () => inTurn(restartAsIs),
    holdBack(count) {
      if (places.some(({ heldBack }) => heldBack)) throw new Error('API servers are held back already.')
      if (count < 1 || count > places.length)
        throw new RangeError(`There are ${places.length} API servers, not ${count}.`)
      const held = places.slice(-count)
      for (const place of held) place.heldBack = true
      return { catchUp: () => inTurn(() => catchUp(held)) }
    },
    stop
  }
}
