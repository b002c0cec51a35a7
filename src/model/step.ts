import type { Finding } from './finding.ts'
import type { Goal } from './goal.ts'
import type { KeyDefect } from './key.ts'
import type { KmsOn, KmsProfile } from './kms-profile.ts'
import type { KeySize } from './preparation.ts'
import type { Purpose } from './roles.ts'
import type { Vault } from './vault.ts'

/** What can be done; each kind is carried out by the file of its name in src/steps. */
export type Step =
  | { readonly kind: 'wait-for-cluster' }
  /** `validFor`: milliseconds for which an expired version is made valid. */
  | {
      readonly kind: 'repair-key'
      readonly keyId: string
      readonly defects: readonly KeyDefect[]
      readonly validFor: number
    }
  | { readonly kind: 'wait-for-api-servers' }
  /**
   * As its definition has it, with the profile in it from the start. Plans are shown and kept, so that the step has no more of the
   * definition than its digest, which changes when that does.
   */
  | { readonly kind: 'create-cluster'; readonly definitionDigest: string; readonly profile: KmsOn }
  | { readonly kind: 'create-key-version'; readonly vaultUrl: string; readonly keyName: string }
  | { readonly kind: 'record-goal'; readonly goal: Goal }
  | { readonly kind: 'prove-secrets'; readonly when: 'before-change' | 'after-change' | 'no-change' }
  | { readonly kind: 'set-kms-profile'; readonly profile: KmsProfile }
  | {
      readonly kind: 'set-vault-network-access'
      readonly vault: Pick<Vault, 'id' | 'name' | 'url'>
      readonly access: Vault['publicNetworkAccess']
    }
  | { readonly kind: 'upgrade-control-plane'; readonly version: string }
  /** Kubernetes versions by the names of the pools. */
  | { readonly kind: 'upgrade-node-pools'; readonly versions: Readonly<Record<string, string>> }
  | {
      readonly kind: 'create-vault'
      readonly vaultId: string
      readonly vaultUrl: string
      readonly location: string
      readonly tenantId: string
      readonly publicNetworkAccess: Vault['publicNetworkAccess']
    }
  | { readonly kind: 'create-identity'; readonly identityId: string; readonly location: string }
  /** `until`: milliseconds since the epoch, after which nothing is waited for any more. */
  | { readonly kind: 'wait-for-vault'; readonly vaultId: string; readonly keyName: string; readonly until: number }
  | {
      readonly kind: 'create-key'
      readonly vaultId: string
      readonly vaultUrl: string
      readonly keyName: string
      readonly keySize: KeySize
      readonly rotationDays: number | undefined
    }
  | { readonly kind: 'assign-role'; readonly purpose: Purpose; readonly principalId: string; readonly scope: string }
  | {
      readonly kind: 'add-access-policy'
      readonly vaultId: string
      readonly tenantId: string
      readonly objectId: string
    }
  | { readonly kind: 'wait-for-roles'; readonly until: number }

export type Decision =
  | { readonly kind: 'step'; readonly step: Step }
  /** `sentence` is the verdict; `findings` are warnings and notes that belong to it. */
  | { readonly kind: 'done'; readonly sentence: string; readonly findings: readonly Finding[] }
  | { readonly kind: 'refused'; readonly findings: readonly Finding[] }
