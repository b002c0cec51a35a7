import { withKubernetesVersion } from '../azure/cluster-body.ts'
import { withCluster } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { sayState } from './say-state.ts'
import { managed, type StepDefinition } from './step-definition.ts'

export const upgradeKubernetes: StepDefinition<Extract<Step, { kind: 'upgrade-kubernetes' }>> = {
  describe(step, observed) {
    return `Upgrade Kubernetes ${observed.cluster?.kubernetesVersion ?? ''} → ${step.version}, control plane and node pools`
  },
  predict(step, observed) {
    return withCluster(observed, ({ pools }) => ({
      kubernetesVersion: step.version,
      pools: pools.map((pool) => ({ ...pool, kubernetesVersion: step.version })),
      upgrades: undefined,
      phase: 'ready'
    }))
  },
  async perform(step, context) {
    const { log, signal } = context
    const { clusters, cluster } = managed(context)
    await clusters.update(cluster, withKubernetesVersion(cluster.body, step.version), { signal, onPoll: sayState(log) })
  }
}
