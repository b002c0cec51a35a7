import { sameKeyVersion } from './key-id.ts'
import { keyIdOf, type KmsProfile } from './kms-profile.ts'

/** What an operation is to reach, resolved once and kept in the record before the first change. */
export interface Goal {
  readonly operation: string
  /** The profile at the end of the operation. */
  readonly kms: KmsProfile
  /** The pinned key version when the goal was set, so that a change behind the record's back is recognised. */
  readonly fromKeyId: string | undefined
  /** The Kubernetes version at the end, where the operation upgrades. */
  readonly kubernetesVersion: string | undefined
  /**
   * Key version that AKS is to hold no more in the end, which takes two rotations. It is `fromKeyId` in the first of them: a
   * second one follows.
   */
  readonly retiring?: string
}

/** Whether another rotation follows on this one. */
export function isFirstOfTwo(goal: Goal): boolean {
  return sameKeyVersion(goal.retiring, goal.fromKeyId)
}

/** The record in the cluster: what AKS does not remember. Evidence, never authority. Times are ISO 8601 in UTC. */
export interface ClusterRecord {
  /** Key version that all Secrets were last proved under; `identity` when KMS was off; undefined before any proof. */
  readonly provedKeyId: string | undefined
  /** The one before it. */
  readonly previousKeyId: string | undefined
  readonly provedAt: string | undefined
  /** Url of the run that proved it. */
  readonly provedBy: string | undefined
  readonly goal: Goal | undefined
  /** Hash of the approved plan that the run set out by which set the goal; undefined where none was asked for. */
  readonly approvedPlan: string | undefined
}

/**
 * Key versions that the cluster encrypted under before this one, the latest first, as far as the record knows: the first of them
 * is what AKS holds as the previous key. Empty where somebody has changed the key without the record.
 */
export function keyIdsBefore(record: ClusterRecord, keyId: string): readonly string[] {
  const { provedKeyId, previousKeyId, goal } = record
  const known = (...keyIds: readonly (string | undefined)[]): readonly string[] =>
    keyIds.filter((id): id is string => id?.startsWith('https://') === true)
  if (sameKeyVersion(provedKeyId, keyId)) return known(previousKeyId)
  if (goal === undefined || !sameKeyVersion(keyIdOf(goal.kms), keyId)) return []
  return sameKeyVersion(provedKeyId, goal.fromKeyId) ? known(provedKeyId, previousKeyId) : known(goal.fromKeyId)
}

export const EMPTY_RECORD: ClusterRecord = {
  provedKeyId: undefined,
  previousKeyId: undefined,
  provedAt: undefined,
  provedBy: undefined,
  goal: undefined,
  approvedPlan: undefined
}
