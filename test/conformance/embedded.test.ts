import { startEmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { describeConformance } from './describe-conformance.ts'

describeConformance('the embedded API server', async (options) => {
  const controlPlane = await startEmbeddedControlPlane(options)
  const { faults } = controlPlane
  return {
    controlPlane,
    compact() {
      faults.compact()
      return Promise.resolve()
    },
    store(namespace, name, bytes) {
      faults.corrupt(namespace, name, bytes)
      return Promise.resolve()
    }
  }
})
