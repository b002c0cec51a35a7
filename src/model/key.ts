import { sameKeyVersion, type KeyVersion } from './key-id.ts'

/** What Key Vault says of one key version. Times are in milliseconds since the epoch. */
export interface KeyProperties {
  readonly id: KeyVersion
  readonly enabled: boolean
  readonly created: number
  readonly notBefore: number | undefined
  readonly expires: number | undefined
}

/** A key version with its material's properties: what the preflight of a new key needs. */
export interface KeyDetails extends KeyProperties {
  /** `RSA`, `RSA-HSM`, `EC`, … */
  readonly keyType: string
  readonly keyOperations: readonly string[]
}

/** A key that could not be read says why, so that a preflight can refuse it and a status can show it. */
export type KeyObservation =
  | { readonly kind: 'readable'; readonly key: KeyDetails }
  | { readonly kind: 'unreadable'; readonly id: KeyVersion; readonly reason: KeyUnreadable; readonly message: string }

/** All versions of one key, in no order. */
export type KeyVersionsObservation =
  | { readonly kind: 'readable'; readonly versions: readonly KeyProperties[] }
  | { readonly kind: 'unreadable'; readonly reason: KeyUnreadable; readonly message: string }

export type KeyUnreadable = 'not-found' | 'deleted' | 'forbidden' | 'unreachable'

/** The newest version that can be used now, by creation: Key Vault lists versions in no order. */
export function newestUsable(versions: readonly KeyProperties[], now: number): KeyProperties | undefined {
  return versions
    .filter((version) => isUsable(version, now))
    .reduce<KeyProperties | undefined>(
      (newest, version) => (newest === undefined || version.created > newest.created ? version : newest),
      undefined
    )
}

/** The newest usable version, where it is newer than the one in use. */
export function newerUsable(
  versions: readonly KeyProperties[],
  keyIdInUse: string,
  now: number
): KeyProperties | undefined {
  const newest = newestUsable(versions, now)
  const inUse = versions.find(({ id }) => sameKeyVersion(id.url, keyIdInUse))
  if (newest === undefined || sameKeyVersion(newest.id.url, keyIdInUse)) return undefined
  return inUse !== undefined && newest.created <= inUse.created ? undefined : newest
}

export function isUsable(version: KeyProperties, now: number): boolean {
  return version.enabled && (version.notBefore ?? 0) <= now && (version.expires ?? Infinity) > now
}
