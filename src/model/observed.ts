import type { Cluster } from './cluster.ts'
import type { Finding } from './finding.ts'
import type { ClusterRecord, Goal } from './goal.ts'
import type { KeyObservation, KeyVersionsObservation } from './key.ts'
import type { Key } from './key-id.ts'
import type { KubernetesRight } from './kubernetes-rights.ts'
import { sameKmsProfile } from './kms-profile.ts'
import type { ObservedPreparation, VersionLife } from './preparation.ts'
import type { DataPlane, Permission, Vault, VaultAccess, VaultChange, VaultObservation } from './vault.ts'

/** Everything that a decision may depend on, read at one moment. */
export interface Observed {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Undefined where Azure knows none: a cluster by its kubeconfig alone, or one that is yet to be created. */
  readonly cluster: Cluster | undefined
  /** For `create`, as long as there is no cluster: as its definition has it, without KMS. */
  readonly definition: Cluster | undefined
  /** Host and port of the API server; undefined where it was not asked for anything, or did not answer. */
  readonly apiServer: string | undefined
  /** Why the API server can’t be reached, where Azure tells; nothing was read in the cluster then. */
  readonly unreachable: Finding | undefined
  /** Rights in Kubernetes that a proof takes and the credential lacks, as far as the API server says so. */
  readonly missingRights: readonly KubernetesRight[]
  /** About how many Secrets there are; counted only while the cluster runs a Kubernetes with KMS v1, and kept for the run. */
  readonly secretCount: number | undefined
  /** Whether the API servers say that they are ready; undefined where they were not asked. */
  readonly apiServersReady: boolean | undefined
  /** Whether this run's own passes have proved every Secret under the cluster's present profile. */
  readonly secretsProved: boolean
  /** What the record in the cluster says; empty where there is none or it may not be read. */
  readonly record: ClusterRecord
  /** The goal under way: the record's, or this run's own where it may not be recorded. */
  readonly goal: { readonly goal: Goal; readonly fromEarlierRun: boolean } | undefined
  /** By key version url in lower case: the pinned, the requested, the newest and the goal's version, as far as there are. */
  readonly keys: ReadonlyMap<string, KeyObservation>
  /** All versions of the key that the operation chooses among: the one that the cluster is to encrypt under; undefined where there is none. */
  readonly keyVersions: KeyVersionsObservation | undefined
  /** Of the key that the cluster pins; undefined where it may not be read, or was not. */
  readonly rotationPolicy: VersionLife | undefined
  /** Urls of the key versions that this run made: newer than any other, whatever the vault's list shows by now. */
  readonly madeKeyIds: readonly string[]
  /** By vault url in lower case: those of the pinned, the requested and the goal's key, as far as there are. */
  readonly vaults: ReadonlyMap<string, VaultObservation>
  /** What the cluster's identity may do, by url of the key without a version, in lower case. */
  readonly access: ReadonlyMap<string, VaultAccess>
  /** Whether the workflow's identity may update a cluster that has this cluster's identity; `unknown` where it was not read. */
  readonly assignIdentity: Permission
  /** Of the cluster's subscription; undefined where it was not read. */
  readonly tenantId: string | undefined
  /** Of the vault that is to make a new version, where its key is read elsewhere; undefined where none is to be made. */
  readonly dataPlane: DataPlane | undefined
  /** What stands against opening or closing the vault of the cluster's key; only `change-vault-mode` asks for it. */
  readonly vaultChange: VaultChange | undefined
  /** Undefined but for `prepare`. */
  readonly preparation: ObservedPreparation | undefined
  /** What the edges noticed on the way. */
  readonly findings: readonly Finding[]
}

export function keyOf(observed: Pick<Observed, 'keys'>, keyId: string): KeyObservation | undefined {
  return observed.keys.get(keyId.toLowerCase())
}

/** Whether the cluster has the same KMS profile in both; so has one that Azure does not know. */
export function hasSameKms({ cluster: a }: Observed, { cluster: b }: Observed): boolean {
  return a === undefined || b === undefined ? a === b : sameKmsProfile(a.kms, b.kms)
}

/** What is observed of a cluster that Azure knows. */
export type ObservedCluster = Observed & { readonly cluster: Cluster }

export function hasCluster(observed: Observed): observed is ObservedCluster {
  return observed.cluster !== undefined
}

/** The same with another state of its cluster; unchanged where there is none. */
export function withCluster(observed: Observed, change: (cluster: Cluster) => Partial<Cluster>): Observed {
  if (observed.cluster === undefined) return observed
  return { ...observed, cluster: { ...observed.cluster, ...change(observed.cluster) } }
}

/** The same with another state of what `prepare` makes; unchanged where it is not about that. */
export function withPreparation(
  observed: Observed,
  change: (preparation: ObservedPreparation) => Partial<ObservedPreparation>
): Observed {
  if (observed.preparation === undefined) return observed
  return { ...observed, preparation: { ...observed.preparation, ...change(observed.preparation) } }
}

/** The same with another state of a vault; unchanged where that was not read. */
export function withVault(observed: Observed, vaultUrl: string, changes: Partial<Vault>): Observed {
  const seen = vaultOf(observed, vaultUrl)
  if (seen?.kind !== 'readable') return observed
  const vault: VaultObservation = { kind: 'readable', vault: { ...seen.vault, ...changes } }
  return { ...observed, vaults: new Map([...observed.vaults, [vaultUrl.toLowerCase(), vault]]) }
}

/** `https://<vault>` of a key id → what was observed of the vault. */
export function vaultOf(observed: Observed, vaultUrl: string): VaultObservation | undefined {
  return observed.vaults.get(vaultUrl.toLowerCase())
}

/** For any version of a key: permissions hold for all of them. */
export function accessOf(observed: Observed, { vaultUrl, name }: Key): VaultAccess | undefined {
  return observed.access.get(accessKey(vaultUrl, name))
}

export function accessKey(vaultUrl: string, keyName: string): string {
  return `${vaultUrl}/keys/${keyName}`.toLowerCase()
}
