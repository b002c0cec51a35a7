import { withPoolVersions } from '../azure/cluster-body.ts'
import { withCluster } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { sayState } from './say-state.ts'
import { managed, type StepDefinition } from './step-definition.ts'

export const upgradeNodePools: StepDefinition<Extract<Step, { kind: 'upgrade-node-pools' }>> = {
  describe(step, observed) {
    const upgrades = Object.entries(step.versions).map(([name, version]) => {
      const pool = observed.cluster?.pools.find((one) => one.name === name)
      return `${name} ${pool?.kubernetesVersion ?? ''} → ${version}`
    })
    return `Upgrade the node pools: Kubernetes ${upgrades.join(', ')}`
  },
  predict(step, observed) {
    return withCluster(observed, ({ pools }) => ({
      pools: pools.map((pool) => {
        const kubernetesVersion = step.versions[pool.name]
        return kubernetesVersion === undefined ? pool : { ...pool, kubernetesVersion, upgrades: undefined }
      }),
      phase: 'ready'
    }))
  },
  async perform(step, context) {
    const { log, signal } = context
    const { clusters, cluster } = managed(context)
    const body = withPoolVersions(cluster.body, step.versions)
    await clusters.update(cluster, body, { signal, onPoll: sayState(log) })
  }
}
