import { createHash } from 'node:crypto'

/** One version of a Key Vault key: what AKS pins. `url` is Azure's own spelling, `https://<vault>/keys/<name>/<version>`. */
export interface KeyVersion {
  readonly url: string
  /** `https://<vault>`, without a slash at the end. */
  readonly vaultUrl: string
  readonly vaultName: string
  readonly name: string
  readonly version: string
}

export type KeyIdProblem = 'malformed' | 'versionless' | 'not-a-key' | 'managed-hsm' | 'other-cloud'

/**
 * Reads a key identifier. `vaultSuffix` is the cloud's DNS suffix of vaults, such as `vault.azure.net`.
 * Source: learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name
 */
export function parseKeyId(text: string, vaultSuffix: string): KeyVersion | KeyIdProblem {
  let url: URL
  try {
    url = new URL(text.trim())
  } catch {
    return 'malformed'
  }
  if (url.protocol !== 'https:' || url.search !== '' || url.hash !== '' || url.username !== '') return 'malformed'
  const [collection, name, version, ...rest] = url.pathname.split('/').slice(1)
  if (collection === 'secrets' || collection === 'certificates') return 'not-a-key'
  if (collection !== 'keys' || name === undefined || !/^[0-9A-Za-z-]{1,127}$/.test(name)) return 'malformed'
  if (/(^|\.)managedhsm\./.test(url.hostname)) return 'managed-hsm'
  if (!url.hostname.endsWith(`.${vaultSuffix}`)) return 'other-cloud'
  const vaultName = url.hostname.slice(0, -vaultSuffix.length - 1)
  if (!/^[0-9A-Za-z-]{3,24}$/.test(vaultName)) return 'malformed'
  if (version === undefined || version === '') return 'versionless'
  if (!/^[0-9A-Za-z]{1,64}$/.test(version) || rest.length > 0) return 'malformed'
  const vaultUrl = `https://${url.host}`
  return { url: `${vaultUrl}/keys/${name}/${version}`, vaultUrl, vaultName, name, version }
}

/** Key ids are compared without case: Azure's answers do not keep the spelling of what was sent. */
export function sameKeyVersion(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && comparable(a) === comparable(b)
}

function comparable(keyId: string): string {
  return keyId.replace(/\/$/, '').toLowerCase()
}

/** A key version from an id that Azure itself gave; undefined where it names no version. */
export function keyVersionFrom(keyId: string): KeyVersion | undefined {
  const host = URL.canParse(keyId) ? new URL(keyId).hostname : ''
  const parsed = parseKeyId(keyId, host.slice(host.indexOf('.') + 1))
  return typeof parsed === 'string' ? undefined : parsed
}

/**
 * `key_id_hash` of a key version in an API server's metrics, `sha256:<hex>`. AKS's KMS plugin names a key version by the SHA-256
 * of its url in hex, and the API server hashes that name once more.
 * Sources: Azure/kubernetes-kms, pkg/plugin/keyvault.go; kubernetes/apiserver, pkg/storage/value/encrypt/envelope/metrics/metrics.go
 */
export function keyIdHashOf(keyId: string): string {
  return `sha256:${sha256(sha256(keyVersionFrom(keyId)?.url ?? keyId))}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
