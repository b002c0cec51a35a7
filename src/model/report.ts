import type { Evidence } from './api-servers.ts'
import type { ClusterStatus } from './cluster-status.ts'
import type { DataEncryption } from './cluster.ts'
import type { Estimate } from './estimate.ts'
import type { Finding } from './finding.ts'
import type { KmsProfile } from './kms-profile.ts'
import type { JsonObject } from './json.ts'
import type { PlanBasis } from './plan-basis.ts'
import type { DiffLine } from './plan-diff.ts'
import type { PreparedResource } from './prepared-resources.ts'
import type { SecretCounts, SecretFailure } from './secrets.ts'
import type { Code } from '../errors.ts'

/** `done` and `planned` are green. */
export type RunResult = 'done' | 'planned' | 'refused' | 'failed' | 'cancelled'

/** The cluster at one moment, as shown side by side. */
export interface ClusterSnapshot {
  readonly securityProfile: JsonObject
  readonly kms: KmsProfile
  readonly dataEncryption: DataEncryption | undefined
  /** Of the key version in use; undefined where there is none, or it could not be read. Times are ISO 8601. */
  readonly keyVersion: { readonly createdAt: string; readonly expiresAt: string | undefined } | undefined
  readonly kubernetesVersion: string
  readonly provisioningState: string
}

export interface StepReport {
  readonly kind: string
  /** One line for people, such as “Set the KMS profile: key version 3f2a… → 9b1c…”. */
  readonly title: string
  readonly durationMs: number
  readonly result: 'done' | 'failed' | 'cancelled'
}

export interface PassReport {
  /** False when it was broken off. */
  readonly complete: boolean
  readonly counts: SecretCounts
  readonly durationMs: number
}

/** One proof: its passes, and its counts over all of them. */
export interface ProofReport {
  readonly when: 'before-change' | 'after-change' | 'no-change'
  readonly proved: boolean
  readonly counts: SecretCounts
  readonly passes: readonly PassReport[]
  /** Largest first. */
  readonly namespaces: readonly { readonly namespace: string; readonly counts: SecretCounts }[]
  readonly evidence: Evidence
  /** Those of the last pass, at most 1,000. */
  readonly failures: readonly SecretFailure[]
}

/** What is to become of a key version. */
export interface KeyAdvice {
  readonly keyId: string
  readonly state: 'current' | 'keep' | 'may-be-retired'
  readonly sentence: string
}

export interface Plan {
  readonly steps: readonly { readonly kind: string; readonly title: string }[]
  /** How the plan ends. */
  readonly sentence: string
  readonly refused: boolean
  readonly basis: PlanBasis
  /** SHA-256 of the basis in hex; the same until something changes that the plan depends on. */
  readonly hash: string
}

/** How the plan of a run compares with the approved one. */
export interface ApprovalReport {
  readonly hash: string
  /** Where the approved plan is; undefined where only its hash was given. */
  readonly url: string | undefined
  readonly sentence: string
  /** Empty where the plan may be carried out. */
  readonly diff: readonly DiffLine[]
}

/** Everything that a run has to say; written as JSON, schema in docs/report.schema.json. Times are ISO 8601 in UTC. */
export interface RunReport {
  readonly schemaVersion: 1
  readonly operation: string
  readonly dryRun: boolean
  /** Of the cluster in the desired state; undefined for other operations than `reconcile`. */
  readonly name: string | undefined
  /**
   * ARM id of the cluster, or of the resource group or the subscription where the run is about all clusters in it; host and port of
   * the API server where Azure knows no such cluster; for `prepare` ARM id of the vault; empty where there is none.
   */
  readonly cluster: string
  /** Url of the workflow run; undefined outside GitHub Actions. */
  readonly run: string | undefined
  readonly startedAt: string
  readonly durationMs: number
  readonly result: RunResult
  /** The verdict in one sentence. */
  readonly sentence: string
  readonly error: { readonly code: Code; readonly message: string; readonly fix: string } | undefined
  readonly findings: readonly Finding[]
  readonly before: ClusterSnapshot | undefined
  readonly after: ClusterSnapshot | undefined
  /** Whether the KMS profile or the Kubernetes version of the cluster was changed by this run. */
  readonly changed: boolean
  /** Whether every Secret was proved under the profile that the cluster has at the end. */
  readonly proved: boolean
  /** When the key version in use at the end reaches its greatest age; undefined where none was asked for, or it could not be read. */
  readonly rotationDueAt: string | undefined
  /** Since when the key version in use at the start had been due; undefined where it was not. */
  readonly rotationOverdueSince: string | undefined
  readonly plan: Plan | undefined
  /** Of a dry run. */
  readonly estimate: Estimate | undefined
  /** Where only an approved plan was to be carried out. */
  readonly approval: ApprovalReport | undefined
  readonly steps: readonly StepReport[]
  readonly proofs: readonly ProofReport[]
  readonly keys: readonly KeyAdvice[]
  /** Of `prepare`; empty for every other operation. */
  readonly resources: readonly PreparedResource[]
  /** Of `status`, the most urgent first; undefined for every other operation, and where they could not be listed. */
  readonly clusters: readonly ClusterStatus[] | undefined
  /** Whether only clusters whose rotation is due go into the output `clusters`; undefined where there are none. */
  readonly dueOnly: boolean | undefined
}
