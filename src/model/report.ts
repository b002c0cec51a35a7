import type { Evidence } from './api-servers.ts'
import type { Finding } from './finding.ts'
import type { KmsProfile } from './kms-profile.ts'
import type { JsonObject } from './json.ts'
import type { SecretCounts, SecretFailure } from './secrets.ts'
import type { Code } from '../errors.ts'

/** `done` and `planned` are green. */
export type RunResult = 'done' | 'planned' | 'refused' | 'failed' | 'cancelled'

/** The cluster at one moment, as shown side by side. */
export interface ClusterSnapshot {
  readonly securityProfile: JsonObject
  readonly kms: KmsProfile
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
  /** SHA-256 in hex over what the decisions depend on; the same until one of these changes. */
  readonly hash: string
}

/** Everything that a run has to say; written as JSON, schema in docs/report.schema.json. Times are ISO 8601 in UTC. */
export interface RunReport {
  readonly schemaVersion: 1
  readonly operation: string
  readonly dryRun: boolean
  /** ARM id. */
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
  readonly plan: Plan | undefined
  readonly steps: readonly StepReport[]
  readonly proofs: readonly ProofReport[]
  readonly keys: readonly KeyAdvice[]
}
