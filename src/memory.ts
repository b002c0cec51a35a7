import type { KeyChange } from './model/api-servers.ts'
import type { Goal } from './model/goal.ts'
import type { KmsProfile } from './model/kms-profile.ts'
import type { ProofReport } from './model/report.ts'

/** What only this run knows, from step to step. All of it may be lost: the next run finds out anew. */
export interface Memory {
  /** The profile that this run's own passes last proved every Secret under. */
  provedProfile: KmsProfile | undefined
  /** Of this run's last change of key, as long as nothing is proved after it. */
  keyChange: KeyChange | undefined
  /** The goal that this run set itself. */
  goal: Goal | undefined
  /** Url of the key version that this run made. */
  madeKeyId: string | undefined
  readonly proofs: ProofReport[]
}

export function emptyMemory(): Memory {
  return { provedProfile: undefined, keyChange: undefined, goal: undefined, madeKeyId: undefined, proofs: [] }
}
