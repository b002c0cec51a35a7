import type { Goal } from './model/goal.ts'
import type { KmsProfile } from './model/kms-profile.ts'
import type { ProofReport } from './model/report.ts'

/** What only this run knows, from step to step. All of it may be lost: the next run finds out anew. */
export interface Memory {
  /** The profile that this run's own passes last proved every Secret under. */
  provedProfile: KmsProfile | undefined
  /** This run has changed the key, and no pass has met a Secret under the one before yet. */
  keyChanged: boolean
  /** The goal that this run set itself. */
  goal: Goal | undefined
  /** Url of the key version that this run made. */
  madeKeyId: string | undefined
  readonly proofs: ProofReport[]
}

export function emptyMemory(): Memory {
  return { provedProfile: undefined, keyChanged: false, goal: undefined, madeKeyId: undefined, proofs: [] }
}
