import { byAge, usableVersions, type KeyProperties } from '../model/key.ts'
import { keyVersionFrom, sameKey, sameKeyVersion } from '../model/key-id.ts'
import { keyOf, type Observed } from '../model/observed.ts'

/**
 * Usable versions of the key of the first of these versions that are newer than each of them, the newest last. What this run made
 * counts, whatever the vault's list shows by now.
 */
export function newerVersions(observed: Observed, keyIds: readonly string[]): readonly KeyProperties[] {
  const key = keyVersionFrom(keyIds[0])
  const versions = allVersions(observed).filter(({ id }) => key !== undefined && sameKey(id, key))
  const isOneOf =
    (ids: readonly string[]) =>
    ({ id }: KeyProperties): boolean =>
      ids.some((one) => sameKeyVersion(one, id.url))
  const isMade = isOneOf(observed.madeKeyIds)
  const older = versions.filter(isOneOf(keyIds))
  const isNewer = (version: KeyProperties, one: KeyProperties): boolean =>
    version !== one && (byAge(version, one) > 0 || (isMade(version) && !isMade(one)))
  return usableVersions(versions, observed.now).filter((version) => older.every((one) => isNewer(version, one)))
}

function allVersions(observed: Observed): readonly KeyProperties[] {
  const { keyVersions, madeKeyIds } = observed
  const listed = keyVersions?.kind === 'readable' ? keyVersions.versions : []
  const unlisted = madeKeyIds.filter((keyId) => !listed.some(({ id }) => sameKeyVersion(id.url, keyId)))
  const made = unlisted.flatMap((keyId) => {
    const key = keyOf(observed, keyId)
    return key?.kind === 'readable' ? [key.key] : []
  })
  return [...listed, ...made]
}
