import { join } from 'node:path'

import type { KeyOperations } from '../contract.ts'
import { startKmsPlugin, type KmsPlugin, type PluginKeys } from './kms-plugin.ts'

/** One KMS plugin for each key version in use, or for each one with its earlier ones. */
export interface KmsPlugins {
  /** Starts the plugins that are missing; throws when the vault refuses to encrypt or decrypt under one of the keys. */
  start(all: readonly PluginKeys[]): Promise<void>
  endpointOf(keys: PluginKeys): string
  /** Stops all plugins but these. */
  retain(all: readonly PluginKeys[]): void
}

export function createKmsPlugins(keyOperations: KeyOperations, directory: string): KmsPlugins {
  const plugins = new Map<string, KmsPlugin>()
  let started = 0

  return {
    async start(all) {
      for (const keys of all) {
        const plugin =
          plugins.get(nameOf(keys)) ??
          (await startKmsPlugin({ keys, keyOperations, socket: join(directory, `kms-${++started}.sock`) }))
        plugins.set(nameOf(keys), plugin)
        await plugin.check()
      }
    },
    endpointOf(keys) {
      const plugin = plugins.get(nameOf(keys))
      if (plugin === undefined) throw new Error(`No KMS plugin was started for ${keys.keyId}.`)
      return plugin.endpoint
    },
    retain(all) {
      const names = new Set(all.map(nameOf))
      for (const [name, plugin] of plugins) {
        if (names.has(name)) continue
        plugin.stop()
        plugins.delete(name)
      }
    }
  }
}

function nameOf({ keyId, earlierKeyIds = [] }: PluginKeys): string {
  return [keyId, ...earlierKeyIds].join(' ')
}
