import { setTimeout as sleep } from 'node:timers/promises'

import { startRealBed, type Bed } from '../../testbed/bed.ts'
import type { EncryptionProvider } from '../../testbed/contract.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import { hashOf } from '../../testbed/azure/key-slots.ts'
import { sampleOf } from './cases.ts'
import { seedsOf, type Population } from './population.ts'

/** A real control plane with a population of Secrets, which can be made stale as often as it takes. */
export interface BenchCluster {
  readonly bed: Bed<RealControlPlane>
  readonly population: Population
  /** Gives the API servers a new key to write under. Whatever key a Secret is under can still be read. Gives the key's url. */
  makeAllStale(): Promise<string>
  /** Resolves when the Leases of the API servers before the last restart have run out, as after a real change of key. */
  untilForgotten(): Promise<void>
  /** Throws unless every Secret's bytes in etcd are under the newest key. The older keys are given up then. */
  verifyAllCurrent(): Promise<void>
  stop(): Promise<void>
}

/** An API server renews its Lease every 10 s; the action takes it for gone when it has not for 12 s. */
const LEASE_MS = 13_000
/** In the first second in which it answers an API server is still busy with its start. */
const SETTLING_MS = 1_500

export async function startBenchCluster(population: Population, apiServers: number): Promise<BenchCluster> {
  const bed = await startRealBed({ kms: true, timeScale: 0.001, apiServers, durable: true })
  const { controlPlane } = bed
  let rolls = 0
  let rolledAt = 0
  let readable: readonly EncryptionProvider[] | undefined

  try {
    for (const batch of seedsOf(population, sampleOf(population))) await controlPlane.seed(batch)
  } catch (error) {
    await bed.stop()
    throw error
  }
  return {
    bed,
    population,
    async makeAllStale() {
      const keyId = await bed.addKeyVersion()
      // Until its first roll here, the cluster is as the bed's Azure has it.
      readable ??= bed.cluster.encryption.filter(({ kind }) => kind === 'kms')
      const writer: EncryptionProvider = { kind: 'kms', apiVersion: 'v2', name: `bench${String(++rolls)}`, keyId }
      readable = [writer, ...readable]
      await controlPlane.roll(readable)
      rolledAt = Date.now()
      await sleep(SETTLING_MS)
      return keyId
    },
    untilForgotten: () => sleep(Math.max(0, rolledAt + LEASE_MS - Date.now())),
    async verifyAllCurrent() {
      const [writer] = readable ?? []
      if (writer?.kind !== 'kms') throw new Error('No Secret was made stale yet.')
      const stored = await controlPlane.storedSecrets()
      const left = stored.filter(({ keyIdHash }) => keyIdHash !== hashOf(writer.keyId)).length
      if (stored.length !== population.secrets || left > 0) {
        throw new Error(`Of ${String(stored.length)} Secrets in etcd, ${String(left)} are under an older key.`)
      }
      readable = [writer]
    },
    stop: bed.stop
  }
}
