import { withControlPlaneVersion } from '../azure/cluster-body.ts'
import { withCluster } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { sayState } from './say-state.ts'
import { managed, type StepDefinition } from './step-definition.ts'

export const upgradeControlPlane: StepDefinition<Extract<Step, { kind: 'upgrade-control-plane' }>> = {
  describe(step, observed) {
    return `Upgrade the control plane: Kubernetes ${observed.cluster?.kubernetesVersion ?? ''} → ${step.version}`
  },
  predict(step, observed) {
    return withCluster(observed, ({ pools }) => ({
      kubernetesVersion: step.version,
      upgrades: undefined,
      pools: pools.map((pool) => ({ ...pool, upgrades: undefined })),
      phase: 'ready'
    }))
  },
  async perform(step, context) {
    const { log, signal } = context
    const { clusters, cluster } = managed(context)
    const body = withControlPlaneVersion(cluster.body, step.version)
    await clusters.update(cluster, body, { signal, onPoll: sayState(log) })
  }
}
