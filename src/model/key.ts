import { sameKeyVersion, type KeyVersion } from './key-id.ts'

/** What Key Vault says of one key version. Times are in milliseconds since the epoch. */
export interface KeyProperties {
  readonly id: KeyVersion
  readonly enabled: boolean
  readonly created: number
  readonly notBefore: number | undefined
  readonly expires: number | undefined
  /** When its attributes were last changed, whatever of them. */
  readonly updated?: number
  /** When this action made it usable again, so that the cluster can be rotated off it; until then a rotation is due. */
  readonly repaired?: number
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

/** When a key version in use is to be rotated off, by the age that is asked for: at once where it was only repaired for that. */
export function rotationDueAt({ created, repaired }: KeyProperties, maxKeyAge: number): number {
  return repaired ?? created + maxKeyAge
}

/** What keeps AKS from encrypting under a key version. With `deleted` the key can be recovered; with `not-found` it can't. */
export type KeyDefect = 'deleted' | 'not-found' | 'disabled' | 'expired' | 'not-yet-valid'

/** Empty where there is none, or where the key can't be looked at. */
export function defectsOf(observation: KeyObservation, now: number): readonly KeyDefect[] {
  if (observation.kind === 'unreadable') {
    return observation.reason === 'deleted' || observation.reason === 'not-found' ? [observation.reason] : []
  }
  const { enabled, expires, notBefore } = observation.key
  const defects: KeyDefect[] = []
  if (!enabled) defects.push('disabled')
  if (expires !== undefined && expires <= now) defects.push('expired')
  if (notBefore !== undefined && notBefore > now) defects.push('not-yet-valid')
  return defects
}

/** Those that can be used now, the newest last: Key Vault lists versions in no order. */
export function usableVersions(versions: readonly KeyProperties[], now: number): readonly KeyProperties[] {
  return versions.filter((version) => isUsable(version, now)).toSorted(byAge)
}

/** Oldest first. Key Vault counts in seconds; of two versions of the same second always the same one is taken for the older. */
export function byAge(a: KeyProperties, b: KeyProperties): number {
  return a.created - b.created || a.id.version.localeCompare(b.id.version)
}

/** The newest version that can be used now. */
export function newestUsable(versions: readonly KeyProperties[], now: number): KeyProperties | undefined {
  return usableVersions(versions, now).at(-1)
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
