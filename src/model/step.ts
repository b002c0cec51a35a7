import type { Finding } from './finding.ts'
import type { Goal } from './goal.ts'
import type { KmsProfile } from './kms-profile.ts'

/** What can be done; each kind is carried out by the file of its name in src/steps. */
export type Step =
  | { readonly kind: 'wait-for-cluster' }
  | { readonly kind: 'create-key-version'; readonly vaultUrl: string; readonly keyName: string }
  | { readonly kind: 'record-goal'; readonly goal: Goal }
  | { readonly kind: 'prove-secrets'; readonly when: 'before-change' | 'after-change' | 'no-change' }
  | { readonly kind: 'set-kms-profile'; readonly profile: KmsProfile }
  | { readonly kind: 'upgrade-control-plane'; readonly version: string }
  /** Kubernetes versions by the names of the pools. */
  | { readonly kind: 'upgrade-node-pools'; readonly versions: Readonly<Record<string, string>> }

export type Decision =
  | { readonly kind: 'step'; readonly step: Step }
  /** `sentence` is the verdict; `findings` are warnings and notes that belong to it. */
  | { readonly kind: 'done'; readonly sentence: string; readonly findings: readonly Finding[] }
  | { readonly kind: 'refused'; readonly findings: readonly Finding[] }
