import type { Cluster } from '../model/cluster.ts'
import type { DesiredCluster } from '../model/desired-cluster.ts'
import { refusal } from '../model/finding.ts'
import type { Goal } from '../model/goal.ts'
import { newestUsable } from '../model/key.ts'
import { hasVersion, keyVersionFrom, sameKey, sameKeyVersion, type Key, type KeyVersion } from '../model/key-id.ts'
import { keyIdOf, kmsOn, sameKmsProfile } from '../model/kms-profile.ts'
import type { ObservedCluster } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { checkDataEncryption } from '../preflight/data-encryption.ts'
import { unreadableKey } from '../preflight/key.ts'
import { checkVaultMode } from '../preflight/vault-mode.ts'
import type { Request } from '../request.ts'
import { changeVaultMode } from './change-vault-mode.ts'
import { disable } from './disable.ts'
import { enable } from './enable.ts'
import type { Operation } from './operation.ts'
import { done, proveThenDone, refused } from './reach.ts'
import { rotate } from './rotate.ts'

/** Whichever operation leads from the cluster as it is to the cluster as it is desired; none where both are the same. */
export const reconcile: Operation = (request, observed) => {
  const { desired } = request
  if (desired === undefined)
    return refused(refusal('input-missing', '`reconcile` needs `desired-state` and `cluster`.'))
  return desired.enabled && desired.key !== undefined
    ? reconcileOn(request, desired, desired.key, observed)
    : reconcileOff(request, observed)
}

function reconcileOff(request: Request, observed: ObservedCluster): Decision {
  if (observed.cluster.kms.enabled || observed.goal?.goal.operation === 'disable') return disable(request, observed)
  return settled(observed, AS_DESIRED)
}

function reconcileOn(request: Request, desired: DesiredCluster, key: Key, observed: ObservedCluster): Decision {
  const { kms } = observed.cluster
  const { networkAccess, vaultResourceId, maxKeyAge } = desired
  const version = wantedVersion(key, observed)
  const wanted: Request = { ...request, key: version, networkAccess, vaultResourceId }
  if (changesMode(request, observed.cluster, observed.goal?.goal)) {
    if (version === undefined) return noVersion(key, observed)
    const present = keyVersionFrom(keyIdOf(kms) ?? observed.goal?.goal.fromKeyId)
    // KMS is off on the way, so that it costs no rotation of its own to go to another key version.
    const stays = present !== undefined && !asksForOther(key, version, present, desired, observed)
    return changeVaultMode({ ...wanted, key: stays ? present : version }, observed)
  }
  if (!kms.enabled) return version === undefined ? noVersion(key, observed) : enable(wanted, observed)

  const pinned = keyVersionFrom(kms.keyId)
  if (pinned === undefined) return refused(...checkDataEncryption(observed.cluster))
  if (!sameKey(pinned, key)) return version === undefined ? noVersion(key, observed) : rotate(wanted, observed)

  const underWay =
    observed.goal !== undefined && sameKmsProfile(observed.goal.goal.kms, kms) ? observed.goal.goal : undefined
  if (underWay?.operation === 'rotate') return rotate(wanted, observed)
  if (asksForOther(key, version, pinned, desired, observed)) return rotate(wanted, observed)
  if (underWay?.operation === 'enable') return enable({ ...wanted, key: pinned }, observed)
  if (maxKeyAge === undefined) return settled(observed, AS_DESIRED)
  const decision = rotate({ ...wanted, key: undefined, maxKeyAge }, observed)
  return decision.kind === 'done' ? settled(observed, decision.sentence) : decision
}

/**
 * Whether it is by a change of the vault's mode that the desired state is reached: the vault of the cluster is to be reached in the other mode,
 * or that was begun, and KMS may be off on the way.
 */
export function changesMode({ desired }: Request, { kms }: Cluster, goal: Goal | undefined): boolean {
  if (desired?.enabled !== true || desired.key === undefined) return false
  const { key, networkAccess, vaultResourceId } = desired
  const wanted = kmsOn(key.url, networkAccess, vaultResourceId)
  if (goal?.operation === 'change-vault-mode' && goal.kms.enabled) return goal.kms.networkAccess === networkAccess
  return checkVaultMode(kms, wanted).length > 0
}

const AS_DESIRED = 'The cluster is as desired: nothing was touched.'
const PROVED = 'The cluster is as desired, and every Secret is proved to be.'

/** Secrets are touched only where the record does not say that they were proved under what the cluster has now. */
function settled(observed: ObservedCluster, sentence: string): Decision {
  const { record, cluster, secretsProved } = observed
  const pinned = keyIdOf(cluster.kms)
  const recorded = pinned === undefined ? record.provedKeyId === 'identity' : sameKeyVersion(record.provedKeyId, pinned)
  if (recorded && record.goal === undefined && !secretsProved) return done(sentence)
  return proveThenDone(observed, PROVED)
}

/** A version that is named, else the newest that can be used. */
function wantedVersion(key: Key, observed: ObservedCluster): KeyVersion | undefined {
  if (hasVersion(key)) return key
  if (observed.keyVersions?.kind !== 'readable') return undefined
  return newestUsable(observed.keyVersions.versions, observed.now)?.id
}

/** Whether another version than the present one is asked for, by its name or for being newer. The age is not looked at. */
function asksForOther(
  key: Key,
  version: KeyVersion | undefined,
  present: KeyVersion,
  { maxKeyAge }: DesiredCluster,
  observed: ObservedCluster
): boolean {
  if (hasVersion(key)) return !sameKeyVersion(key.url, present.url)
  return !sameKey(present, key) || (maxKeyAge === undefined && isNewer(version, present, observed))
}

/** Where the version in use can no longer be used, the newest that can may be older than it: back to that leads no way. */
function isNewer(version: KeyVersion | undefined, pinned: KeyVersion, { keyVersions }: ObservedCluster): boolean {
  if (version === undefined || keyVersions?.kind !== 'readable') return false
  const created = (id: KeyVersion): number =>
    keyVersions.versions.find((known) => sameKeyVersion(known.id.url, id.url))?.created ?? 0
  return !sameKeyVersion(version.url, pinned.url) && created(version) > created(pinned)
}

function noVersion(key: Key, { keyVersions }: ObservedCluster): Decision {
  return refused(
    keyVersions?.kind === 'unreadable'
      ? unreadableKey(keyVersions.reason, keyVersions.message)
      : refusal('key-not-found', `${key.url} has no version that can be used now.`)
  )
}
