import type { KeyChange } from './model/api-servers.ts'
import type { KeyVersionsObservation } from './model/key.ts'
import type { Goal } from './model/goal.ts'
import type { Cluster } from './model/cluster.ts'
import { sameKmsProfile, type KmsProfile } from './model/kms-profile.ts'
import type { PreparedKind, VersionLife } from './model/preparation.ts'
import type { ProofReport } from './model/report.ts'
import type { Permission, VaultAccess, VaultChange, VaultObservation } from './model/vault.ts'

/** What only this run knows, from step to step. All of it may be lost: the next run finds out anew. */
export interface Memory {
  /** What this run's own passes last proved every Secret under; the profile is undefined where Azure knows no cluster. */
  proved: { readonly under: KmsProfile | undefined } | undefined
  /** Of this run's last change of key, as long as nothing is proved after it. */
  keyChange: KeyChange | undefined
  /** The goal that this run set itself. */
  goal: Goal | undefined
  /** Urls of the key versions that this run made. */
  readonly madeKeyIds: string[]
  /** Urls of the key versions that this run made usable again. */
  readonly repairedKeyIds: string[]
  /** Hash of the approved plan that this run carries out. */
  approvedPlan: string | undefined
  /** Whether the cluster has KMS data encryption; undefined before it was asked for. */
  dataEncryption: boolean | undefined
  /** About how many Secrets there were when this run met KMS v1. */
  secretCount: number | undefined
  /** The API server has answered this run. */
  reachedApiServer: boolean
  /** What `prepare` has made in this run, and when, in milliseconds since the epoch. */
  readonly made: Map<PreparedKind, number>
  readonly proofs: ProofReport[]
  /** What was read once, because nobody changes it in a run but a step, which then forgets it. */
  readonly seen: {
    tenantId: Promise<string | undefined> | undefined
    assignIdentity: Promise<Permission> | undefined
    /** What the vault itself answered, where its key is read elsewhere. */
    dataPlane: Promise<KeyVersionsObservation> | undefined
    /** By vault url in lower case. */
    readonly vaults: Map<string, Promise<VaultObservation>>
    vaultChange: Promise<VaultChange> | undefined
    /** By url of the key without a version, in lower case. */
    readonly access: Map<string, Promise<VaultAccess>>
    /** By url of the key without a version, in lower case. */
    readonly rotationPolicies: Map<string, Promise<VersionLife | undefined>>
  }
}

export function emptyMemory(): Memory {
  return {
    proved: undefined,
    keyChange: undefined,
    goal: undefined,
    madeKeyIds: [],
    repairedKeyIds: [],
    approvedPlan: undefined,
    dataEncryption: undefined,
    secretCount: undefined,
    reachedApiServer: false,
    made: new Map(),
    proofs: [],
    seen: {
      tenantId: undefined,
      assignIdentity: undefined,
      vaultChange: undefined,
      dataPlane: undefined,
      vaults: new Map(),
      access: new Map(),
      rotationPolicies: new Map()
    }
  }
}

/** Whether every Secret is proved under what the cluster has now. One that Azure does not know has no other profile. */
export function isProved({ proved }: Memory, cluster: Cluster | undefined): boolean {
  if (proved === undefined) return false
  if (cluster === undefined) return proved.under === undefined
  return cluster.phase === 'ready' && proved.under !== undefined && sameKmsProfile(proved.under, cluster.kms)
}
