import { join } from 'node:path'

import type { KeyOperations } from '../contract.ts'
import { startKmsPlugin, type KmsPlugin } from './kms-plugin.ts'

/** One KMS plugin for each key version in use. */
export interface KmsPlugins {
  /** Starts the plugins that are missing; throws when the vault refuses to encrypt or decrypt under one of the keys. */
  start(keyIds: ReadonlySet<string>): Promise<void>
  endpointOf(keyId: string): string
  /** Stops all plugins but these. */
  retain(keyIds: ReadonlySet<string>): void
}

export function createKmsPlugins(keyOperations: KeyOperations, directory: string): KmsPlugins {
  const plugins = new Map<string, KmsPlugin>()
  let started = 0

  return {
    async start(keyIds) {
      for (const keyId of keyIds) {
        const plugin =
          plugins.get(keyId) ??
          (await startKmsPlugin({ keyId, keyOperations, socket: join(directory, `kms-${++started}.sock`) }))
        plugins.set(keyId, plugin)
        await plugin.check()
      }
    },
    endpointOf(keyId) {
      const plugin = plugins.get(keyId)
      if (plugin === undefined) throw new Error(`No KMS plugin was started for ${keyId}.`)
      return plugin.endpoint
    },
    retain(keyIds) {
      for (const [keyId, plugin] of plugins) {
        if (keyIds.has(keyId)) continue
        plugin.stop()
        plugins.delete(keyId)
      }
    }
  }
}
