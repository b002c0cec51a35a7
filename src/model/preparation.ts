import type { KeyDetails } from './key.ts'
import type { NetworkAccess } from './kms-profile.ts'
import type { Grant } from './permissions.ts'
import type { VaultObservation } from './vault.ts'

export const KEY_SIZES = [2048, 3072, 4096] as const
export type KeySize = (typeof KEY_SIZES)[number]

/** What `prepare` is to make or to find. */
export interface WantedPreparation {
  /** ARM id of the vault. */
  readonly vaultId: string
  readonly vaultUrl: string
  readonly keyName: string
  readonly keySize: KeySize
  /** After how many days Key Vault makes a new version by itself; undefined: never. */
  readonly rotationDays: number | undefined
  /** ARM id of the user-assigned identity. */
  readonly identityId: string
  readonly networkAccess: NetworkAccess
  /** As Azure writes it, such as `westeurope`. Undefined: that of the resource group. */
  readonly location: string | undefined
}

/**
 * How long it may take until every part of Azure knows a new role assignment, or knows the roles that hold at a new resource.
 * Source: learn.microsoft.com/azure/role-based-access-control/troubleshooting
 */
export const SPREADING_MS = 10 * 60_000

/** A user-assigned managed identity. */
export interface Identity {
  /** ARM id. */
  readonly id: string
  readonly location: string
  readonly tenantId: string
  /** Object id in Entra. */
  readonly principalId: string
}

/** A key as Azure Resource Manager shows it. */
export interface VaultKey {
  /** The newest version that can be used; the newest of all where none can. */
  readonly version: KeyDetails
  /** In bits; undefined where it has none, as an elliptic curve. */
  readonly size: number | undefined
  /** Undefined where Azure shows none. */
  readonly rotationPolicy: RotationPolicy | undefined
}

/** Durations as in ISO 8601, such as `P90D`. */
export interface RotationPolicy {
  /** When a new version is made, counted from the creation of the one before. */
  readonly rotateAfter: string | undefined
  /** The same, counted back from its expiry. */
  readonly rotateBeforeExpiry: string | undefined
  /** How long a version made by the policy can be used. */
  readonly expiresAfter: string | undefined
}

/** What of a policy bears on a rotation. */
export type VersionLife = Pick<RotationPolicy, 'expiresAfter'>

export type VaultKeyObservation =
  | { readonly kind: 'readable'; readonly key: VaultKey }
  | {
      readonly kind: 'unreadable'
      readonly reason: 'not-found' | 'deleted' | 'forbidden'
      readonly message: string
    }

/** What there is of what `prepare` is to make. */
export interface ObservedPreparation {
  readonly vault: VaultObservation
  /** Location of a deleted vault of this name that can be recovered. Not looked for where the vault is there. */
  readonly deletedVault: string | undefined
  /** Undefined where the vault can't be read. */
  readonly key: VaultKeyObservation | undefined
  /** Undefined where there is none. */
  readonly identity: Identity | undefined
  /** Of the vault's subscription; undefined where Azure does not say. */
  readonly tenantId: string | undefined
  /** Roles of the identity at the key; empty where either is not there yet, undefined where they may not be read. */
  readonly grants: readonly Grant[] | undefined
  /** Where a vault and an identity are to be made; undefined where they are there, or their resource group is not. */
  readonly vaultLocation: string | undefined
  readonly identityLocation: string | undefined
  /** Names of resource groups that something is to be made in, and that are not there. */
  readonly missingGroups: readonly string[]
  /** What this run has made, and when: taken as it was asked for, whatever Azure shows of it by now. Milliseconds since the epoch. */
  readonly made: ReadonlyMap<PreparedKind, number>
}

/** What `prepare` makes, in the order in which it is shown. */
export const PREPARED_KINDS = ['vault', 'key', 'identity', 'use-key', 'approve-private-endpoint'] as const
export type PreparedKind = (typeof PREPARED_KINDS)[number]

/** Where a new key would have its ARM id, and where its roles hold. */
export function keyScope({ vaultId, keyName }: Pick<WantedPreparation, 'vaultId' | 'keyName'>): string {
  return `${vaultId}/keys/${keyName}`
}
