import type { ManagedCluster, ManagedClusters } from '../azure/managed-clusters.ts'
import type { Authorization } from '../azure/authorization.ts'
import type { Identities } from '../azure/identities.ts'
import type { KeyVault } from '../azure/key-vault.ts'
import type { VaultKeys } from '../azure/vault-keys.ts'
import type { Vaults } from '../azure/vaults.ts'
import type { Kubernetes } from '../kubernetes/kubernetes.ts'
import type { Log } from '../log.ts'
import type { JsonObject } from '../model/json.ts'
import type { Observed } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import type { Memory } from '../memory.ts'

/** What a step is carried out with. */
export interface StepContext {
  /** What the step was decided on. */
  readonly observed: Observed
  /**
   * The cluster's body and eTag at that same moment: a write on top of anything newer is refused by Azure. Undefined where there
   * is no cluster that Azure knows.
   */
  readonly cluster: ManagedCluster | undefined
  /** The cluster of the request; undefined where it names none. */
  readonly clusters: ManagedClusters | undefined
  /** Body of the cluster that `create` is to make, but for its KMS profile. */
  readonly definition: JsonObject | undefined
  readonly keyVault: KeyVault
  readonly vaults: Vaults
  readonly vaultKeys: VaultKeys
  readonly identities: Identities
  readonly authorization: Authorization
  /** Connects at the first call. */
  kubernetes(): Promise<Kubernetes>
  readonly memory: Memory
  /** Url of the workflow run, for the record; undefined outside GitHub Actions. */
  readonly run: string | undefined
  /** Of the whole run, in milliseconds. */
  readonly timeout: number
  readonly log: Log
  readonly signal: AbortSignal
}

/** The managed cluster that a step works on. Throws where there is none: no step on a cluster is decided without one. */
export function managed({ clusters, cluster }: StepContext): {
  readonly clusters: ManagedClusters
  readonly cluster: ManagedCluster
} {
  if (clusters === undefined || cluster === undefined) throw new Error('There is no managed cluster to work on.')
  return { clusters, cluster }
}

/** One kind of step: how to say it, what it will change in what is observed (pure), and how to carry it out. */
export interface StepDefinition<S extends Step> {
  /** It neither needs nor takes the lock on the cluster: it changes nothing in it. */
  readonly withoutLock?: true
  describe(step: S, observed: Observed): string
  predict(step: S, observed: Observed): Observed
  perform(step: S, context: StepContext): Promise<void>
}
