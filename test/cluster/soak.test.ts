import { afterAll, beforeAll, expect, test } from '@jest/globals'

import type { RunResult } from '../../testbed/runner/run-action.ts'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import { tallyStored } from '../../testbed/etcd/tally.ts'
import { compareContents, demoSecrets } from '../../testbed/seed.ts'
import { expectGreen } from '../action/expectations.ts'
import { startWriters } from '../fixtures/writers.ts'

/** Minutes of writing beside the passes; some in CI, ten for a release. */
const MINUTES = Number(process.env['SOAK_MINUTES'] ?? '0.5')
const ROTATIONS = 2
const WRITERS = 4

const seeds = demoSecrets({ secrets: 1_000, namespaces: 10 })
let bed: Bed<RealControlPlane>

beforeAll(async () => {
  bed = await startRealBed({ timeScale: 0.001, apiServers: 2, kms: true, secrets: seeds })
})
afterAll(async () => {
  await bed.stop()
})

/** A rotation to the key version in use: nothing but a proof. */
const prove = (): Promise<RunResult> => bed.run('rotate', { 'key-id': bed.keyIds().at(-1) ?? '' })

/** Passes without a change of key, again and again until the time has come. */
async function passesUntil(end: number): Promise<RunResult[]> {
  const runs: RunResult[] = []
  do runs.push(await prove())
  while (Date.now() < end)
  return runs
}

test(
  'four writers, passes all the time, and two rotations: no Secret under a retired key, and no write is lost',
  async () => {
    const writers = await startWriters(bed.controlPlane, WRITERS)
    const began = Date.now()
    const share = (MINUTES * 60_000) / (ROTATIONS + 1)
    const runs: RunResult[] = []
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      runs.push(...(await passesUntil(began + share * (rotation + 1))))
      await bed.addKeyVersion()
      runs.push(await bed.run('rotate'))
    }
    runs.push(...(await passesUntil(began + share * (ROTATIONS + 1))))
    const [writes, seconds] = [writers.writes, (Date.now() - began) / 1000]
    await writers.stop()
    runs.push(await prove())
    const reports = runs.map(expectGreen)
    expect(reports.every(({ proved }) => proved)).toBe(true)
    const passes = reports.flatMap(({ proofs }) => proofs).reduce((sum, proof) => sum + proof.passes.length, 0)
    console.log(
      `${seconds.toFixed(0)} s: ${String(runs.length)} runs, ${String(passes)} passes, ${String(writes)} writes`
    )
    expect(writes).toBeGreaterThan(seconds * 10)

    // What the first key encrypted can't be read any more from here on, by an API server that has none of it in memory.
    const [retired] = bed.vault.versions('etcd')
    if (retired !== undefined) retired.enabled = false
    await bed.controlPlane.roll(bed.cluster.encryption)
    const stored = tallyStored(await bed.controlPlane.storedSecrets(), bed.keyIds())
    expect(Object.keys(stored)).toEqual([expect.stringContaining(String(bed.keyIds()[2]))])
    expect(await writers.lost()).toEqual([])
    expect(await compareContents(bed.controlPlane, seeds)).toEqual([])
  },
  (MINUTES + 5) * 60_000
)
