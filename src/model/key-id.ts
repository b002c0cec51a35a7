import { createHash } from 'node:crypto'

/** A Key Vault key, with or without one of its versions. `url` is Azure's own spelling, `https://<vault>/keys/<name>[/<version>]`. */
export interface Key {
  readonly url: string
  /** `https://<vault>`, without a slash at the end. */
  readonly vaultUrl: string
  readonly vaultName: string
  readonly name: string
  readonly version: string | undefined
}

/** One version of a Key Vault key: what AKS pins. */
export interface KeyVersion extends Key {
  readonly version: string
}

export type KeyProblem = 'malformed' | 'not-a-key' | 'managed-hsm' | 'other-cloud'
export type KeyIdProblem = KeyProblem | 'versionless'

/**
 * Reads a key identifier. `vaultSuffix` is the cloud's DNS suffix of vaults, such as `vault.azure.net`.
 * Source: learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name
 */
export function parseKey(text: string, vaultSuffix: string): Key | KeyProblem {
  let url: URL
  try {
    url = new URL(text.trim())
  } catch {
    return 'malformed'
  }
  if (url.protocol !== 'https:' || url.search !== '' || url.hash !== '' || url.username !== '') return 'malformed'
  const [collection, name, version = '', ...rest] = url.pathname.split('/').slice(1)
  if (collection === 'secrets' || collection === 'certificates') return 'not-a-key'
  if (collection !== 'keys' || name === undefined || !/^[0-9A-Za-z-]{1,127}$/.test(name)) return 'malformed'
  if (/(^|\.)managedhsm\./.test(url.hostname)) return 'managed-hsm'
  if (!url.hostname.endsWith(`.${vaultSuffix}`)) return 'other-cloud'
  const vaultName = url.hostname.slice(0, -vaultSuffix.length - 1)
  if (!/^[0-9A-Za-z-]{3,24}$/.test(vaultName)) return 'malformed'
  const vaultUrl = `https://${url.host}`
  const key = { vaultUrl, vaultName, name }
  if (version === '') return { ...key, url: `${vaultUrl}/keys/${name}`, version: undefined }
  if (!/^[0-9A-Za-z]{1,64}$/.test(version) || rest.length > 0) return 'malformed'
  return { ...key, url: `${vaultUrl}/keys/${name}/${version}`, version }
}

/** The same for an identifier that must name a version. */
export function parseKeyId(text: string, vaultSuffix: string): KeyVersion | KeyIdProblem {
  const key = parseKey(text, vaultSuffix)
  if (typeof key === 'string') return key
  return hasVersion(key) ? key : 'versionless'
}

export function hasVersion(key: Key): key is KeyVersion {
  return key.version !== undefined
}

/** Whether both are the same key, or versions of it. */
export function sameKey(a: Key, b: Key): boolean {
  return a.vaultUrl.toLowerCase() === b.vaultUrl.toLowerCase() && a.name.toLowerCase() === b.name.toLowerCase()
}

/** Key ids are compared without case: Azure's answers do not keep the spelling of what was sent. */
export function sameKeyVersion(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && comparable(a) === comparable(b)
}

function comparable(keyId: string): string {
  return keyId.replace(/\/$/, '').toLowerCase()
}

/** A key version from an id that Azure itself gave; undefined where it names no version, or there is none. */
export function keyVersionFrom(keyId: string | undefined): KeyVersion | undefined {
  if (keyId === undefined) return undefined
  const parsed = parseKeyId(keyId, vaultSuffixOf(keyId))
  return typeof parsed === 'string' ? undefined : parsed
}

/** The DNS suffix of whatever cloud a key identifier is of; empty for a text that is none. */
export function vaultSuffixOf(keyId: string): string {
  const host = URL.canParse(keyId) ? new URL(keyId).hostname : ''
  return host.slice(host.indexOf('.') + 1)
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
