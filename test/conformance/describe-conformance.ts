import { afterAll, beforeAll, describe } from '@jest/globals'

import { apiServersConform } from './api-servers.ts'
import { connectionConforms } from './connection.ts'
import { encryptionConforms } from './encryption.ts'
import { otherResourcesConform } from './other-resources.ts'
import { pagingConforms } from './paging.ts'
import { secretsConform } from './secrets.ts'
import { authenticateToken, type Start, type Subject } from './subject.ts'
import { inMemoryVault } from './vault.ts'

/**
 * What the action relies on in a Kubernetes API server, and what its tests rely on in the embedded one. The real kube-apiserver
 * is the reference: where a test fails on it, the test is wrong; where one fails on the embedded one alone, that is.
 */
export function describeConformance(name: string, start: Start): void {
  describe(name, () => {
    let started: Subject | undefined
    const vault = inMemoryVault()
    beforeAll(async () => {
      started = await start({
        keyOperations: vault,
        authenticateToken,
        kmsV1: true,
        encryption: [{ kind: 'identity' }]
      })
    }, 120_000)
    afterAll(async () => {
      await started?.controlPlane.stop()
    }, 60_000)
    const subject = (): Subject => {
      if (started === undefined) throw new Error('the control plane did not start')
      return started
    }

    describe('connection', () => connectionConforms(subject))
    describe('Secrets', () => secretsConform(subject))
    describe('paging', () => pagingConforms(subject))
    describe('other resources', () => otherResourcesConform(subject))
    describe('API servers', () => apiServersConform(subject))
    describe('encryption', () => encryptionConforms(subject, vault))
  })
}
