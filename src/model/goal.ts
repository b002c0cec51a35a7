import type { KmsProfile } from './kms-profile.ts'

/** What an operation is to reach, resolved once and kept in the record before the first change. */
export interface Goal {
  readonly operation: string
  /** The profile at the end of the operation. */
  readonly kms: KmsProfile
  /** The pinned key version when the goal was set, so that a change behind the record's back is recognised. */
  readonly fromKeyId: string | undefined
  /** The Kubernetes version at the end, where the operation upgrades. */
  readonly kubernetesVersion: string | undefined
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

export const EMPTY_RECORD: ClusterRecord = {
  provedKeyId: undefined,
  previousKeyId: undefined,
  provedAt: undefined,
  provedBy: undefined,
  goal: undefined,
  approvedPlan: undefined
}
