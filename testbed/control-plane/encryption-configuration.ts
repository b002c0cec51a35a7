import type { EncryptionConfiguration, EncryptionProvider } from '../contract.ts'

/** The document that `--encryption-provider-config` reads; JSON is YAML too. */
export function encryptionConfigurationDocument(
  encryption: EncryptionConfiguration,
  endpointOf: (keyId: string) => string
): string {
  return JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets'], providers: encryption.map((provider) => entry(provider, endpointOf)) }]
  })
}

/** The key versions that the configuration needs a plugin for. */
export function keyIdsOf(encryption: EncryptionConfiguration): ReadonlySet<string> {
  return new Set(encryption.flatMap((provider) => (provider.kind === 'kms' ? [provider.keyId] : [])))
}

function entry(provider: EncryptionProvider, endpointOf: (keyId: string) => string): object {
  if (provider.kind === 'identity') return { identity: {} }
  const { apiVersion, name, keyId } = provider
  return { kms: { apiVersion, name, endpoint: endpointOf(keyId), timeout: '10s' } }
}
