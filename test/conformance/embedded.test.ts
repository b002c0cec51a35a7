import { startEmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { describeConformance } from './describe-conformance.ts'

describeConformance('the embedded API server', async (options) => {
  const controlPlane = await startEmbeddedControlPlane(options)
  const { faults } = controlPlane
  return {
    controlPlane,
    compact: () => Promise.resolve(faults.compact()),
    store: (namespace, name, bytes) => Promise.resolve(faults.corrupt(namespace, name, bytes))
  }
})
