import { startRealControlPlane } from '../../testbed/control-plane/real.ts'
import { describeConformance } from './describe-conformance.ts'
import { controlPlaneDirectories, etcdOf } from './real-etcd.ts'

describeConformance('the real kube-apiserver', async (options) => {
  const before = new Set(await controlPlaneDirectories())
  const controlPlane = await startRealControlPlane(options)
  const [directory] = (await controlPlaneDirectories()).filter((name) => !before.has(name))
  if (directory === undefined) throw new Error('the directory of the control plane was not found')
  return { controlPlane, ...etcdOf(directory) }
})
