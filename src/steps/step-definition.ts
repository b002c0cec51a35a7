import type { ManagedCluster, ManagedClusters } from '../azure/managed-clusters.ts'
import type { KeyVault } from '../azure/key-vault.ts'
import type { Kubernetes } from '../kubernetes/kubernetes.ts'
import type { Log } from '../log.ts'
import type { Observed } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import type { Memory } from '../memory.ts'

/** What a step is carried out with. */
export interface StepContext {
  /** What the step was decided on. */
  readonly observed: Observed
  /** The cluster's body and eTag at that same moment: a write on top of anything newer is refused by Azure. */
  readonly cluster: ManagedCluster
  readonly clusters: ManagedClusters
  readonly keyVault: KeyVault
  readonly kubernetes: Kubernetes
  readonly memory: Memory
  /** Url of the workflow run, for the record; undefined outside GitHub Actions. */
  readonly run: string | undefined
  /** Of the whole run, in milliseconds. */
  readonly timeout: number
  readonly log: Log
  readonly signal: AbortSignal
}

/** One kind of step: how to say it, what it will change in what is observed (pure), and how to carry it out. */
export interface StepDefinition<S extends Step> {
  describe(step: S, observed: Observed): string
  predict(step: S, observed: Observed): Observed
  perform(step: S, context: StepContext): Promise<void>
}
