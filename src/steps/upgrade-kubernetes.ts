import { withKubernetesVersion } from '../azure/cluster-body.ts'
import type { Step } from '../model/step.ts'
import { sayState } from './say-state.ts'
import type { StepDefinition } from './step-definition.ts'

export const upgradeKubernetes: StepDefinition<Extract<Step, { kind: 'upgrade-kubernetes' }>> = {
  describe(step, observed) {
    return `Upgrade Kubernetes ${observed.cluster.kubernetesVersion} → ${step.version}, control plane and node pools`
  },
  predict(step, observed) {
    const pools = observed.cluster.pools.map((pool) => ({ ...pool, kubernetesVersion: step.version }))
    return {
      ...observed,
      cluster: { ...observed.cluster, kubernetesVersion: step.version, pools, upgrades: undefined, phase: 'ready' }
    }
  },
  async perform(step, { cluster, clusters, log, signal }) {
    await clusters.update(cluster, withKubernetesVersion(cluster.body, step.version), { signal, onPoll: sayState(log) })
  }
}
