import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import type { SecretCounts } from '../../src/model/secrets.ts'
import type { ProofReport } from '../../src/model/report.ts'
import { startRealBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { SeedSecret } from '../../testbed/contract.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import type { RunResult } from '../../testbed/runner/run-action.ts'
import { canary, canaryTraces, compareContents, demoSecrets } from '../../testbed/seed.ts'
import { startDelayingProxy } from '../../testbed/wire/delaying-proxy.ts'
import { startWireTap } from '../../testbed/wire/tap.ts'
import { expectGreen, expectRed, expectStored, lockHolder } from '../action/expectations.ts'
import { overHttp2 } from '../conformance/client.ts'
import { eventually } from '../conformance/eventually.ts'
import { samplesIn } from '../conformance/metrics.ts'
import { secretsOf } from '../fixtures/embedded-cluster.ts'
import { meterLoad } from '../fixtures/load-meter.ts'
import { ownEtcd, storedUnder } from '../fixtures/real-cluster.ts'

const MANY = 1_600
/** Of a pass and a look at the API servers with four each, and of record and lock. */
const CONNECTIONS_OF_A_RUN = 10
const WRITE_EVERY_MS = 10
const CLUSTER = /managedClusters\/[^/]+$/
const NOBODY: SecretCounts = { total: 0, reEncrypted: 0, alreadyCurrent: 0, gone: 0, failed: 0, failedForGood: 0 }

type RealBed = Bed<RealControlPlane>

/** Somebody else rotates, and leaves the Secrets as they are. Gives the key version. */
async function changeKey(bed: RealBed): Promise<string> {
  const keyId = await bed.addKeyVersion()
  await bed.cluster.changeKms({ enabled: true, keyId, keyVaultNetworkAccess: 'Public' })
  return keyId
}

interface Run {
  readonly result: Promise<RunResult>
  cancel(): void
  /** Stops the run's process for as long as the work takes. */
  whileItStandsStill(work: () => Promise<void>): Promise<void>
}

function startRun(bed: RealBed, operation: string, inputs: Inputs): Run {
  const cancel = new AbortController()
  let pid: number | undefined
  const result = bed.run(operation, inputs, { cancel: cancel.signal, onStart: (started) => (pid = started) })
  return {
    result,
    cancel: () => cancel.abort(),
    async whileItStandsStill(work) {
      if (pid === undefined) throw new Error('The run has not begun.')
      process.kill(pid, 'SIGSTOP')
      try {
        await work()
      } finally {
        process.kill(pid, 'SIGCONT')
      }
    }
  }
}

/** Until so many Secrets have been re-encrypted under the key version. */
async function untilUnder(bed: RealBed, keyId: string, count: number): Promise<void> {
  const version = String(bed.keyIds().indexOf(keyId) + 1)
  await eventually(async () => ((await storedUnder(bed.controlPlane, bed.keyIds()))[version] ?? 0) >= count)
}

async function revisions(bed: RealBed): Promise<readonly string[]> {
  const stored = await bed.controlPlane.storedSecrets()
  return stored.map(({ namespace, name, revision }) => `${namespace}/${name} ${revision}`)
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

/** Of a service account that may read Secrets. */
async function readerToken({ request }: RealControlPlane): Promise<string> {
  const metadata = { name: 'reader' }
  const apiGroup = 'rbac.authorization.k8s.io'
  await request('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata })
  await request('POST', `/apis/${apiGroup}/v1/clusterrolebindings`, {
    metadata,
    roleRef: { apiGroup, kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'reader' }]
  })
  const answer = await request('POST', '/api/v1/namespaces/default/serviceaccounts/reader/token', { spec: {} })
  expect(answer.status).toBe(201)
  return (answer.body as { readonly status: { readonly token: string } }).status.token
}

/** From now on no Secret of the namespace may be updated. */
async function denyUpdates({ request }: RealControlPlane, namespace: string, reason: string): Promise<void> {
  const path = '/apis/admissionregistration.k8s.io/v1'
  const metadata = { name: `keep-${namespace}` }
  const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] }
  const policy = await request('POST', `${path}/validatingadmissionpolicies`, {
    metadata,
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: { resourceRules: [rule] },
      validations: [
        {
          expression: `request.namespace != '${namespace}'`,
          reason,
          message: `Secrets of ${namespace} stay as they are.`
        }
      ]
    }
  })
  const binding = await request('POST', `${path}/validatingadmissionpolicybindings`, {
    metadata,
    spec: { policyName: metadata.name, validationActions: ['Deny'] }
  })
  expect([policy.status, binding.status]).toEqual([201, 201])
}

/** A Secret from before its type was checked, as an API server without encryption would have kept it. */
function storedInClear({ namespace, name }: Pick<SeedSecret, 'namespace' | 'name'>): Buffer {
  const metadata = { namespace, name, uid: randomUUID(), creationTimestamp: '2019-05-01T00:00:00Z' }
  const data = { 'tls.crt': Buffer.from('a certificate').toString('base64') }
  return Buffer.from(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata, data }))
}

const APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'
const secretPath = ({ namespace, name }: Pick<SeedSecret, 'namespace' | 'name'>): string =>
  `/api/v1/namespaces/${namespace}/secrets/${name}`

describe('pages of Secrets in one namespace, and some in others', () => {
  const lasting = [...demoSecrets({ secrets: 40, namespaces: 5 }), ...secretsOf({ many: MANY })]
  let bed: RealBed

  beforeAll(async () => {
    bed = await startRealBed({ kms: true, timeScale: 0.001, goawayChance: 0.02, secrets: lasting })
  })
  afterAll(() => bed.stop())

  test('every Secret that is listed comes to one end, while namespaces and Secrets come and go, at the rate that is permitted', async () => {
    const { controlPlane } = bed
    const vanishing = secretsOf({ vanishing: 120 })
    const appearing = secretsOf({ appearing: 7 })
    const deleted = secretsOf({ many: MANY + 10 }).slice(MANY)
    const created = { namespace: 'many', name: 'a-new-one', data: {} }
    await controlPlane.seed([...vanishing, ...deleted])
    const keyId = await changeKey(bed)

    const inputs = { 'key-id': keyId, 'max-requests-per-second': '400' }
    const { result, load } = await meterLoad(controlPlane, async () => {
      const run = startRun(bed, 'enable', inputs)
      // The lists of the next namespaces are there by now, and the last pages of this one are not.
      await untilUnder(bed, keyId, 150)
      await run.whileItStandsStill(async () => {
        for (const secret of [...vanishing, ...deleted]) await controlPlane.request('DELETE', secretPath(secret))
        await controlPlane.request('DELETE', '/api/v1/namespaces/vanishing')
        const empty = { metadata: { name: 'vanishing' }, spec: { finalizers: [] } }
        await controlPlane.request('PUT', '/api/v1/namespaces/vanishing/finalize', empty)
        await controlPlane.seed([...appearing, created])
      })
      return await run.result
    })

    const proof = lastProof(expectGreen(result).proofs)
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
    for (const secret of [...appearing, created]) await controlPlane.request('DELETE', secretPath(secret))
    expect(load.mostPatchesPerSecond).toBeGreaterThan(200)
    // Those that were under way before come on top, when the API server was held up for a while.
    expect(load.mostPatchesPerSecond).toBeLessThan(400 + 100)
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

  test('run again, all are already current, over connections that the API server gives up all the time, and nothing is written', async () => {
    const { controlPlane, cluster } = bed
    const before = await revisions(bed)
    const proxy = await startDelayingProxy({ target: { port: Number(new URL(controlPlane.server).port) }, rttMs: 0 })
    try {
      cluster.attach({ ...controlPlane, server: `https://127.0.0.1:${proxy.port}` })
      const proof = lastProof(expectGreen(await bed.run('enable', { 'key-id': bed.keyIds().at(-1) ?? '' })).proofs)
      expect(proof.passes.map(({ counts }) => counts)).toEqual([
        { ...NOBODY, total: lasting.length, alreadyCurrent: lasting.length }
      ])
      expect(proxy.connections).toBeGreaterThan(2 * CONNECTIONS_OF_A_RUN)
    } finally {
      cluster.attach(controlPlane)
      await proxy.stop()
    }
    expect(await revisions(bed)).toEqual(before)
  })

  test('max-concurrency holds', async () => {
    const prove = async (inputs: Inputs): Promise<number> => {
      const keyId = bed.keyIds().at(-1) ?? ''
      const { result, load } = await meterLoad(bed.controlPlane, () =>
        bed.run('enable', { 'key-id': keyId, ...inputs })
      )
      expectGreen(result)
      return load.mostWrites
    }
    expect(await prove({})).toBeGreaterThan(3)
    expect(await prove({ 'max-concurrency': '3' })).toBeLessThanOrEqual(3)
  })

  test('cancelled in the middle, it ends within two seconds with what it counted; run again, it goes on from there', async () => {
    const versions = bed.keyIds().length
    const run = startRun(bed, 'rotate', {})
    await eventually(() => Promise.resolve(bed.keyIds().length === versions + 1))
    const keyId = bed.keyIds().at(-1) ?? ''
    await untilUnder(bed, keyId, 300)
    const cancelledAt = performance.now()
    run.cancel()
    const result = await run.result
    expect(performance.now() - cancelledAt).toBeLessThan(2_000)
    const report = expectRed(result, 'cancelled')
    const { when, passes } = lastProof(report.proofs)
    expect({ when, passes }).toMatchObject({ when: 'after-change', passes: [{ complete: false }] })
    const { reEncrypted, total } = passes[0]?.counts ?? NOBODY
    const done = (await storedUnder(bed.controlPlane, bed.keyIds()))[String(versions + 1)] ?? 0
    expect(total).toBe(reEncrypted)
    expect(reEncrypted).toBeGreaterThan(200)
    expect(reEncrypted).toBeLessThanOrEqual(done)
    expect(done).toBeLessThan(lasting.length)
    expect(result.summary).toContain(`broken off after ${total.toLocaleString('en-US')} Secrets`)
    expect(await lockHolder(bed)).toBe('')

    const again = expectGreen(await bed.run('rotate'))
    expect(again.sentence).toMatch(/Finished the interrupted rotation/)
    expect(lastProof(again.proofs).passes.map(({ counts }) => counts)).toEqual([
      { ...NOBODY, total: lasting.length, alreadyCurrent: done, reEncrypted: lasting.length - done },
      { ...NOBODY, total: lasting.length, alreadyCurrent: lasting.length }
    ])
    await expectStored(bed, lasting, keyId)
  })
})

describe('two API servers', () => {
  const lasting = [...demoSecrets({ secrets: 40, namespaces: 5 }), ...secretsOf({ many: 100 })]
  let bed: RealBed

  beforeAll(async () => {
    bed = await startRealBed({ kms: true, timeScale: 0.001, apiServers: 2, secrets: lasting })
  })
  afterAll(() => bed.stop())

  test('a Secret that is written all the time is not taken for stale for ever, and loses no write', async () => {
    const path = secretPath({ namespace: 'many', name: 'secret-00070' })
    const ended = new AbortController()
    const written: string[] = []
    const writing = (async () => {
      for (let i = 0; !ended.signal.aborted; i++) {
        const value = Buffer.from(`write ${i}`).toString('base64')
        const { status } = await bed.controlPlane.request('PATCH', path, { data: { value } })
        if (status === 200) written.push(value)
        await sleep(WRITE_EVERY_MS)
      }
    })()
    const result = await bed.run('enable', { 'key-id': bed.keyIds().at(-1) ?? '' })
    ended.abort()
    await writing
    const { passes } = lastProof(expectGreen(result).proofs)
    expect(passes.map(({ counts }) => counts.reEncrypted)).toEqual([1, 1, 0])
    expect(written.length).toBeGreaterThan(20)
    expect((await bed.controlPlane.request('GET', path)).body).toMatchObject({ data: { value: written.at(-1) } })
    await bed.controlPlane.request('PATCH', path, { data: lasting.find(({ name }) => name === 'secret-00070')?.data })
  })

  test('no value of a Secret is received, in whatever form it is kept', async () => {
    const { controlPlane, cluster } = bed
    const made = { metadata: { name: 'made-of-string-data' }, stringData: { password: `${canary} in clear` } }
    expect((await controlPlane.request('POST', '/api/v1/namespaces/many/secrets', made)).status).toBe(201)
    const tap = await startWireTap(controlPlane)
    try {
      cluster.attach({ ...controlPlane, ...tap })
      expectGreen(await bed.run('rotate'))
      expect(tap.answers).toBeGreaterThan(3 * lasting.length)
      expect(tap.search(canaryTraces)).toEqual([])

      // The same search finds them all in what somebody gets who reads the Secrets as they are.
      const applied = lasting.find(({ annotations }) => annotations?.[APPLIED] !== undefined)
      for (const secret of [made.metadata, applied]) {
        const path = secretPath({ namespace: 'many', name: '', ...secret })
        const found = await overHttp2({ ...controlPlane, ...tap }, { path, token: await readerToken(controlPlane) })
        expect(found.status).toBe(200)
        expect(tap.search(canaryTraces).filter((hit) => hit.path === path).length).toBeGreaterThan(0)
      }
      await controlPlane.request('DELETE', secretPath({ namespace: 'many', ...made.metadata }))
    } finally {
      cluster.attach(controlPlane)
      await tap.stop()
    }
  })

  test('what can’t be re-encrypted holds up nothing else, is listed with reason and fix, and keeps the old key', async () => {
    const { controlPlane, azure } = bed
    const guarded = secretsOf({ guarded: 3, ruled: 1 })
    const invalid = { namespace: 'old', name: 'half-a-certificate' }
    await controlPlane.seed([...guarded, ...secretsOf({ old: 2 })])
    const etcd = await ownEtcd()
    const before = bed.keyIds().at(-1) ?? ''
    const slot = (await controlPlane.storedSecrets())[0]?.provider ?? ''
    azure.disturb({
      method: 'PUT',
      url: CLUSTER,
      meanwhile: async () => {
        await denyUpdates(controlPlane, 'guarded', 'Forbidden')
        await denyUpdates(controlPlane, 'ruled', 'Invalid')
        await etcd.store(invalid.namespace, invalid.name, storedInClear(invalid))
      }
    })
    const result = await bed.run('rotate')
    const report = expectRed(result, 'secrets-failed')
    expect(report).toMatchObject({ changed: true, proved: false })
    const { counts, failures, passes } = lastProof(report.proofs)
    expect(passes).toHaveLength(2)
    expect(counts).toMatchObject({ reEncrypted: lasting.length + 2, failed: 5, failedForGood: 5 })
    const denied = (namespace: string): string => `denied request: Secrets of ${namespace} stay as they are.`
    const byName = failures.toSorted((a, b) => `${a.namespace}/${a.name}`.localeCompare(`${b.namespace}/${b.name}`))
    expect(byName).toMatchObject([
      ...guarded.slice(0, 3).map(({ name }) => ({ namespace: 'guarded', name, status: 403 })),
      { ...invalid, status: 422, reason: 'Invalid: data[tls.key] FieldValueRequired' },
      { namespace: 'ruled', status: 422 }
    ])
    expect(byName[0]?.reason).toContain(denied('guarded'))
    expect(byName.every(({ permanence }) => permanence === 'permanent')).toBe(true)

    expect(result.summary).toContain('exempt the workflow’s identity or the namespace')
    expect(result.summary).toContain('mend or delete the Secret')
    expect(result.summary).toMatch(
      /\*\*5 of \d+ Secrets are not proved\*\* .* may still be under .*: it must stay enabled/
    )
    expect(report.keys).toContainEqual(expect.objectContaining({ keyId: before, state: 'keep' }))

    const stored = await controlPlane.storedSecrets()
    const failed = new Set(failures.map(({ namespace, name }) => `${namespace}/${name}`))
    const left = stored.filter(({ namespace, name }) => failed.has(`${namespace}/${name}`))
    expect(left.map(({ provider }) => provider).toSorted()).toEqual(['identity', ...Array<string>(4).fill(slot)])
  })

  test('what can’t be decrypted is found before the key is changed, and named with what the storage says', async () => {
    const { controlPlane, azure } = bed
    const etcd = await ownEtcd()
    const broken = secretsOf({ broken: 1 })
    await controlPlane.seed(broken)
    const stored = (await controlPlane.storedSecrets()).find(({ namespace }) => namespace === 'broken')
    const bytes = Buffer.from(stored?.bytes ?? []).map((octet, i) => (i === 100 ? octet ^ 1 : octet))
    await etcd.store('broken', 'secret-00000', bytes)
    const writes = azure.writes.length
    const result = await bed.run('rotate', { 'key-id': await bed.addKeyVersion() })
    const report = expectRed(result, 'secrets-listing-failed')
    expect(report.error?.message).toMatch(
      /unable to transform key "\/registry\/secrets\/broken\/secret-00000": .*authentication failed/
    )
    expect(report).toMatchObject({ changed: false, proved: false })
    expect(azure.writes).toHaveLength(writes)
  })
})

describe('KMS v1 under one provider name', () => {
  const lasting = demoSecrets({ secrets: 40, namespaces: 4 })
  let bed: RealBed

  beforeAll(async () => {
    const cluster = { kubernetesVersion: '1.26.6', kmsProviderName: 'fixed' } as const
    bed = await startRealBed({ kms: true, timeScale: 0.001, apiServers: 2, secrets: lasting, cluster })
  })
  afterAll(() => bed.stop())

  test('a change of key that makes nothing stale is red; KMS off and on again is the way out', async () => {
    const before = await revisions(bed)
    const keyId = await bed.addKeyVersion()
    const [old = ''] = bed.keyIds()
    const result = await bed.run('rotate')
    const report = expectRed(result, 'kms-v1-never-stale')
    expect(report).toMatchObject({ changed: true, proved: false })
    expect(lastProof(report.proofs).counts).toMatchObject({ reEncrypted: 0, alreadyCurrent: lasting.length })
    expect(report.keys).toContainEqual(expect.objectContaining({ keyId: old, state: 'keep' }))
    expect(result.summary).toContain('or `disable` and then `enable`')
    expect(await revisions(bed)).toEqual(before)

    expectGreen(await bed.run('disable'))
    await expectStored(bed, lasting, 'identity')
    expectGreen(await bed.run('enable', { 'key-id': keyId }))
    // What is in no memory any more, and not under the new key, could not be read.
    const [first] = bed.vault.versions('etcd')
    if (first !== undefined) first.enabled = false
    await bed.controlPlane.roll(bed.cluster.encryption)
    expect(await compareContents(bed.controlPlane, lasting)).toEqual([])
    expect(new Set((await bed.controlPlane.storedSecrets()).map(({ provider }) => provider))).toEqual(
      new Set(['k8s:enc:kms:v1:azurekms0'])
    )
  })
})
