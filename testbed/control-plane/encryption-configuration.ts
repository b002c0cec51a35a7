import type { EncryptionConfiguration, EncryptionProvider } from '../contract.ts'
import type { PluginKeys } from './kms-plugin.ts'

/** The document that `--encryption-provider-config` reads; JSON is YAML too. */
export function encryptionConfigurationDocument(
  encryption: EncryptionConfiguration,
  endpointOf: (keys: PluginKeys) => string
): string {
  return JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets'], providers: encryption.map((provider) => entry(provider, endpointOf)) }]
  })
}

/** What the configuration needs plugins for. */
export function pluginKeysOf(encryption: EncryptionConfiguration): readonly PluginKeys[] {
  return encryption.filter((provider) => provider.kind === 'kms')
}

function entry(provider: EncryptionProvider, endpointOf: (keys: PluginKeys) => string): object {
  switch (provider.kind) {
    case 'identity':
      return { identity: {} }
    case 'aescbc':
      return { aescbc: { keys: [{ name: provider.keyName, secret: provider.secret }] } }
    case 'kms': {
      const { apiVersion, name } = provider
      return { kms: { apiVersion, name, endpoint: endpointOf(provider), timeout: '10s' } }
    }
  }
}
