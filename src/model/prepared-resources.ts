import { nameOf } from './arm-id.ts'
import {
  keyScope,
  type ObservedPreparation,
  type PreparedKind,
  type VaultKey,
  type WantedPreparation
} from './preparation.ts'
import {
  identityDifferences,
  keyDifferences,
  permissionDifferences,
  sayDuration,
  vaultDifferences,
  type Difference
} from './preparation-differences.ts'
import { ROLES, type Purpose } from './roles.ts'
import type { Vault } from './vault.ts'

/** One of the things that `prepare` makes, and what became of it. */
export interface PreparedResource {
  readonly kind: PreparedKind
  /** Of the thing itself, or of the role. */
  readonly name: string
  /** ARM id; of a key the url of its version, of a permission the ARM id that it holds at. */
  readonly id: string
  /** `missing`: not made, because it was a dry run or because the run did not come so far. */
  readonly state: 'made' | 'was-there' | 'differs' | 'missing'
  /** What it is; where it is missing, what it is to be. */
  readonly sentence: string
  readonly differences: readonly Difference[]
}

/** Everything that was asked for, as it stands. */
export function preparedResources(wanted: WantedPreparation, seen: ObservedPreparation): readonly PreparedResource[] {
  const vault = seen.vault.kind === 'readable' ? seen.vault.vault : undefined
  const key = seen.key?.kind === 'readable' ? seen.key.key : undefined
  const byPolicy = vault?.rbac === false
  const resource = (
    kind: PreparedKind,
    described: Pick<PreparedResource, 'name' | 'id' | 'sentence'>,
    differences: readonly Difference[] | undefined
  ): PreparedResource => {
    if (seen.made.has(kind)) return { kind, ...described, state: 'made', differences: [] }
    if (differences === undefined) return { kind, ...described, state: 'missing', differences: [] }
    return { kind, ...described, state: differences.length > 0 ? 'differs' : 'was-there', differences }
  }
  const permission = (purpose: Purpose, name: string, id: string, sentence: string): PreparedResource =>
    resource(purpose, { name, id, sentence }, permissionDifferences(wanted, seen, purpose, id))
  return [
    resource(
      'vault',
      { name: nameOf(wanted.vaultId), id: wanted.vaultId, sentence: describeVault(wanted, seen, vault) },
      vault && vaultDifferences(wanted, vault)
    ),
    resource(
      'key',
      {
        name: wanted.keyName,
        id: key?.version.id.url ?? `${wanted.vaultUrl}/keys/${wanted.keyName}`,
        sentence: describeKey(wanted, key)
      },
      key && keyDifferences(wanted, key)
    ),
    resource(
      'identity',
      {
        name: nameOf(wanted.identityId),
        id: wanted.identityId,
        sentence: `User-assigned identity in ${seen.identity?.location ?? seen.identityLocation ?? 'no resource group'}`
      },
      seen.identity && identityDifferences(wanted, seen.identity)
    ),
    permission(
      'use-key',
      byPolicy ? 'Access policy' : ROLES['use-key'].name,
      byPolicy ? wanted.vaultId : keyScope(wanted),
      byPolicy
        ? 'Lets the identity encrypt and decrypt in the vault'
        : 'Lets the identity encrypt and decrypt with the key'
    ),
    ...(wanted.networkAccess === 'Private'
      ? [
          permission(
            'approve-private-endpoint',
            ROLES['approve-private-endpoint'].name,
            wanted.vaultId,
            'Lets the identity approve the private endpoint of AKS'
          )
        ]
      : [])
  ]
}

function describeVault(
  { networkAccess }: WantedPreparation,
  { vaultLocation = 'no resource group' }: ObservedPreparation,
  vault: Vault | undefined
): string {
  const { location, rbac, softDelete, purgeProtection, publicNetworkAccess, selectedNetworks } = vault ?? {
    location: vaultLocation,
    rbac: true,
    softDelete: true,
    purgeProtection: true,
    publicNetworkAccess: networkAccess === 'Private' ? 'Disabled' : 'Enabled',
    selectedNetworks: false
  }
  const properties = [
    rbac ? 'Azure RBAC' : 'access policies',
    ...(softDelete ? ['soft delete'] : []),
    ...(purgeProtection ? ['purge protection'] : []),
    publicNetworkAccess === 'Disabled'
      ? 'no public network access'
      : selectedNetworks
        ? 'selected networks only'
        : 'public network access'
  ]
  return `Key vault in ${location}: ${properties.join(', ')}`
}

function describeKey({ keySize, rotationDays }: WantedPreparation, key: VaultKey | undefined): string {
  const wantedRotation = rotationDays === undefined ? undefined : `P${String(rotationDays)}D`
  const [type, size, rotation] =
    key === undefined
      ? ['RSA', keySize, wantedRotation]
      : [key.version.keyType, key.size, key.rotationPolicy?.rotateAfter]
  return [
    `${type} key${size === undefined ? '' : ` of ${String(size)} bits`}`,
    ...(rotation === undefined ? [] : [`a new version every ${sayDuration(rotation)}`])
  ].join(', ')
}
