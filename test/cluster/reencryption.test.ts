import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import type { SecretCounts } from '../../src/model/secrets.ts'
import type { ProofReport } from '../../src/model/report.ts'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
import type { SeedSecret } from '../../testbed/contract.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import { canaryTraces, demoSecrets } from '../../testbed/seed.ts'
import { startWireTap } from '../../testbed/wire/tap.ts'
import { expectGreen, expectRed, expectStored, lockHolder, reportOf } from '../action/expectations.ts'
import { overHttp2 } from '../conformance/client.ts'
import { eventually } from '../conformance/eventually.ts'
import { samplesIn } from '../conformance/metrics.ts'
import { secretsOf } from '../fixtures/embedded-cluster.ts'
import { meterLoad } from '../fixtures/load-meter.ts'
import { ownEtcd, storedUnder } from '../fixtures/real-cluster.ts'

const MANY = 2_000
const CLUSTER = /managedClusters\/[^/]+$/
const NOBODY: SecretCounts = { total: 0, reEncrypted: 0, alreadyCurrent: 0, gone: 0, failed: 0, failedForGood: 0 }

type RealBed = Bed<RealControlPlane>

/** Somebody else rotates, and leaves the Secrets as they are. Gives the key version. */
async function changeKey(bed: RealBed): Promise<string> {
  const keyId = await bed.addKeyVersion()
  await bed.cluster.changeKms({ enabled: true, keyId, keyVaultNetworkAccess: 'Public' })
  return keyId
}

/** Until so many Secrets have been re-encrypted under the key version. */
async function untilUnder(bed: RealBed, keyId: string, count: number): Promise<void> {
  const version = String(bed.keyIds().indexOf(keyId) + 1)
  await eventually(async () => ((await storedUnder(bed.controlPlane, bed.keyIds()))[version] ?? 0) >= count)
}

function lastProof(proofs: readonly ProofReport[]): ProofReport {
  const proof = proofs.at(-1)
  if (proof === undefined) throw new Error('There was no proof.')
  return proof
}

function sum(all: readonly SecretCounts[]): SecretCounts {
  return all.reduce(
    (total, counts) => ({
      total: total.total + counts.total,
      reEncrypted: total.reEncrypted + counts.reEncrypted,
      alreadyCurrent: total.alreadyCurrent + counts.alreadyCurrent,
      gone: total.gone + counts.gone,
      failed: total.failed + counts.failed,
      failedForGood: total.failedForGood + counts.failedForGood
    }),
    NOBODY
  )
}

const secretPath = ({ namespace, name }: Pick<SeedSecret, 'namespace' | 'name'>): string =>
  `/api/v1/namespaces/${namespace}/secrets/${name}`

describe('two thousand Secrets in one namespace, and some in others', () => {
  const lasting = [...demoSecrets({ secrets: 40, namespaces: 5 }), ...secretsOf({ many: MANY })]
  let bed: RealBed

  beforeAll(async () => {
    bed = await startRealBed({ kms: true, timeScale: 0.001, secrets: lasting })
  })
  afterAll(() => bed.stop())

  test('every Secret that is listed comes to one end, while namespaces and Secrets come and go', async () => {
    const { controlPlane } = bed
    const vanishing = secretsOf({ vanishing: 120 })
    const appearing = secretsOf({ appearing: 7 })
    const deleted = secretsOf({ many: MANY + 10 }).slice(MANY)
    const created = { namespace: 'many', name: 'a-new-one', data: {} }
    await controlPlane.seed([...vanishing, ...deleted])
    const keyId = await changeKey(bed)

    const running = bed.run('enable', { 'key-id': keyId, 'max-requests-per-second': '500' })
    const load = meterLoad(controlPlane, running)
    // The lists of the next namespaces are there by now, and the last pages of this one are not.
    await untilUnder(bed, keyId, 150)
    for (const secret of [...vanishing, ...deleted]) await controlPlane.request('DELETE', secretPath(secret))
    await controlPlane.request('DELETE', '/api/v1/namespaces/vanishing')
    const gone = { metadata: { name: 'vanishing' }, spec: { finalizers: [] } }
    await controlPlane.request('PUT', '/api/v1/namespaces/vanishing/finalize', gone)
    await controlPlane.seed([...appearing, created])

    const proof = lastProof(expectGreen(await running).proofs)
    expect(proof.passes.map(({ counts }) => counts)).toEqual([
      {
        ...NOBODY,
        total: lasting.length + vanishing.length + deleted.length + appearing.length,
        reEncrypted: lasting.length,
        alreadyCurrent: appearing.length,
        gone: vanishing.length + deleted.length
      },
      { ...NOBODY, total: lasting.length + 8, alreadyCurrent: lasting.length + 8 }
    ])
    expect(sum(proof.namespaces.map(({ counts }) => counts))).toEqual(proof.counts)
    expect(proof.namespaces).toContainEqual({
      namespace: 'appearing',
      counts: { ...NOBODY, total: 7, alreadyCurrent: 7 }
    })
    expect(proof.namespaces).toContainEqual({ namespace: 'vanishing', counts: { ...NOBODY, total: 120, gone: 120 } })
    await expectStored(bed, [...lasting, ...appearing, created], keyId)

    const { mostPatchesPerSecond, patches } = await load
    expect(patches).toBeGreaterThan(MANY)
    expect(mostPatchesPerSecond).toBeLessThan(550)
    expect(mostPatchesPerSecond).toBeGreaterThan(250)
    for (const secret of [...appearing, created]) await controlPlane.request('DELETE', secretPath(secret))
  })

  test('a list that etcd has forgotten goes on, over a restart of the API server, and misses and repeats none', async () => {
    const { controlPlane, cluster } = bed
    const etcd = await ownEtcd()
    const keyId = await changeKey(bed)
    const running = bed.run('enable', { 'key-id': keyId, 'max-requests-per-second': '300' })
    await untilUnder(bed, keyId, 100)
    await etcd.compact()
    await controlPlane.roll(cluster.encryption)

    const proof = lastProof(expectGreen(await running).proofs)
    const total = lasting.length
    expect(proof.passes.map(({ counts }) => counts)).toEqual([
      { ...NOBODY, total, reEncrypted: total },
      { ...NOBODY, total, alreadyCurrent: total }
    ])
    await expectStored(bed, lasting, keyId)
    const { body } = await controlPlane.request('GET', '/metrics')
    const expired = samplesIn(String(body), 'apiserver_request_total').filter(
      ({ labels }) => labels['code'] === '410' && labels['resource'] === 'secrets'
    )
    expect(expired).toMatchObject([{ labels: { verb: 'LIST' }, value: 1 }])
  })

  test('run again, all are already current, and nothing is written', async () => {
    const before = await bed.controlPlane.storedSecrets()
    const proof = lastProof(expectGreen(await bed.run('enable', { 'key-id': bed.keyIds().at(-1) ?? '' })).proofs)
    expect(proof.passes.map(({ counts }) => counts)).toEqual([
      { ...NOBODY, total: lasting.length, alreadyCurrent: lasting.length }
    ])
    expect(await bed.controlPlane.storedSecrets()).toEqual(before)
  })
})
