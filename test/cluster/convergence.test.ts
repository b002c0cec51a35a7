import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

import type { Evidence, KeyChange } from '../../src/model/api-servers.ts'
import type { RunReport } from '../../src/model/report.ts'
import { startRealBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { EncryptionConfiguration } from '../../testbed/contract.ts'
import type { RealControlPlane } from '../../testbed/control-plane/real.ts'
import type { RunResult } from '../../testbed/runner/run-action.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectStored } from '../action/expectations.ts'
import { eventually } from '../conformance/eventually.ts'
import { FIRST_KEY_ID, SECOND_KEY, SECOND_KEY_ID, secretsOf } from '../fixtures/embedded-cluster.ts'
import { HastyClock } from '../fixtures/hasty-clock.ts'
import { startRealCluster, storedUnder, type RealCluster } from '../fixtures/real-cluster.ts'

const SCHEMA = JSON.parse(readFileSync(new URL('../../docs/report.schema.json', import.meta.url), 'utf8')) as object
const ajv = new Ajv2020()
addFormats.default(ajv)
const validate = ajv.compile(SCHEMA)

function lastEvidence({ proofs }: RunReport): Evidence {
  const evidence = proofs.at(-1)?.evidence
  if (evidence === undefined) throw new Error('There was no proof.')
  return evidence
}

describe('runs against three API servers', () => {
  const seeds = demoSecrets({ secrets: 60, namespaces: 4 })
  let bed: Bed<RealControlPlane>

  beforeAll(async () => {
    bed = await startRealBed({ kms: true, timeScale: 0.001, apiServers: 3, secrets: seeds })
  })
  afterAll(() => bed.stop())

  /** A run while some API servers lag: it waits for as long as they do, which its log says, and ends green after they caught up. */
  async function runWhileLagging(count: number, operation: string, inputs: Inputs): Promise<RunReport> {
    const lagging = bed.controlPlane.holdBack(count)
    const waits = `Waiting: ${count === 1 ? '1 of 3 API servers does' : `${count} of 3 API servers do`} not write under`
    const { promise: waiting, resolve } = Promise.withResolvers<undefined>()
    const running = bed.run(operation, inputs, {
      onLine: (line) => {
        if (line.startsWith(waits)) resolve(undefined)
      }
    })
    try {
      await Promise.race([waiting, running])
      // It looks again every 5 s.
      const ended = await Promise.race([running, sleep(6_000)])
      expect(ended?.log).toBeUndefined()
    } finally {
      await lagging.catchUp()
    }
    const report = expectGreen(await running)
    const { basis, live, servers, waitedMs } = lastEvidence(report)
    expect({ basis, live, states: servers.map(({ state }) => state) }).toEqual({
      basis: 'metrics',
      live: 3,
      states: ['current', 'current', 'current']
    })
    expect(waitedMs).toBeGreaterThan(5_000)
    return report
  }

  test('the report has each API server, with the new key and the last use of the old one', async () => {
    const [old = ''] = bed.keyIds()
    const result: RunResult = await bed.run('rotate')
    const report = expectGreen(result)
    const wanted = bed.keyIds()[1] ?? ''
    expect(validate(report) || validate.errors).toBe(true)
    const { servers, ...evidence } = lastEvidence(report)
    expect(evidence).toMatchObject({ basis: 'metrics', live: 3 })
    expect(new Set(servers.map(({ id }) => id)).size).toBe(3)
    for (const { state, keys } of servers) {
      expect(state).toBe('current')
      expect(keys.map(({ keyIdHash, wanted }) => ({ keyIdHash, wanted }))).toEqual(
        expect.arrayContaining([
          { keyIdHash: hashOf(wanted), wanted: true },
          { keyIdHash: hashOf(old), wanted: false }
        ])
      )
    }
    const uses = servers.flatMap(({ keys }) => keys)
    expect(uses.some((use) => use.wanted && use.lastWriteAt !== undefined)).toBe(true)
    expect(uses.some((use) => !use.wanted && use.lastReadAt !== undefined)).toBe(true)
    expect(uses.some((use) => !use.wanted && use.lastWriteAt !== undefined)).toBe(false)
    expect(result.summary).toContain('All 3 API servers write under the key in use')
    expect(result.summary).toMatch(/`[0-9a-f]{6}…` read \d\d:\d\d:\d\d/)
    await expectStored(bed, seeds, wanted)
  })

  test('one that does not know the new key is waited for before any Secret is written under that', async () => {
    const report = await runWhileLagging(1, 'rotate', {})
    expect(report.proofs.at(-1)?.passes.map(({ counts }) => counts.reEncrypted)).toEqual([seeds.length, 0])
    await expectStored(bed, seeds, bed.keyIds()[2] ?? '')
  })

  test('two that write under the key of before, after a change back to the one before that, are out-waited', async () => {
    const [, back = ''] = bed.keyIds()
    const report = await runWhileLagging(2, 'rotate', { 'key-id': back })
    expect(report.proofs.at(-1)?.passes.length).toBeGreaterThan(2)
    await expectStored(bed, seeds, back)
  })

  test('one that goes on encrypting after KMS was switched off is out-waited', async () => {
    await runWhileLagging(1, 'disable', {})
    await expectStored(bed, seeds, 'identity')
  })

  test('one that keeps its Lease and to which no connection leads is warned of, and no more', async () => {
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
    const lease = () => ({
      metadata: { name: 'apiserver-elsewhere', labels: { 'apiserver.kubernetes.io/identity': 'kube-apiserver' } },
      spec: {
        holderIdentity: 'apiserver-elsewhere_1',
        leaseDurationSeconds: 3600,
        renewTime: new Date().toISOString().replace('Z', '000Z')
      }
    })
    expect((await bed.controlPlane.request('POST', leases, lease())).status).toBe(201)
    const renewal = setInterval(() => {
      void bed.controlPlane.request('PATCH', `${leases}/apiserver-elsewhere`, lease())
    }, 2_000)
    try {
      const result = await bed.run('disable')
      const report = expectGreen(result)
      expect(report.findings.map(({ code, severity }) => ({ code, severity }))).toContainEqual({
        code: 'api-servers-unseen',
        severity: 'warning'
      })
      expect(lastEvidence(report)).toMatchObject({ live: 4, servers: [{}, {}, {}] })
      expect(result.summary).toContain('1 not met')
    } finally {
      clearInterval(renewal)
    }
  })
})

describe('proofs against two API servers', () => {
  const [second, first, identity] = SECOND_KEY
  if (second === undefined || first === undefined || identity === undefined) throw new Error('two slots and identity')
  const KEY_IDS = [FIRST_KEY_ID, SECOND_KEY_ID]
  const UNDER_FIRST = { kind: 'key', keyId: FIRST_KEY_ID } as const
  const secrets = secretsOf({ one: 40, two: 20 })
  let cluster: RealCluster

  beforeEach(async () => {
    cluster = await startRealCluster({ apiServers: 2, encryption: [second, first, identity], secrets })
  })
  afterEach(() => cluster.stop())

  async function changeTo(encryption: EncryptionConfiguration): Promise<KeyChange> {
    const beganAt = Date.now()
    await cluster.controlPlane.roll(encryption)
    return { beganAt, endedAt: Date.now() }
  }

  const tally = () => storedUnder(cluster.controlPlane, KEY_IDS)

  test('where metrics are refused, and none lags, it takes the time to take up the key, and is by passes alone', async () => {
    const keyChange = await changeTo([first, second, identity])
    const settleMs = 3_000
    const { lines, proof } = cluster.prove({ as: cluster.limited, writeKey: UNDER_FIRST, keyChange, settleMs })
    const { verdict, passes, evidence } = await proof
    expect(Date.now()).toBeGreaterThan(keyChange.endedAt + settleMs)
    expect(verdict).toBe('proved')
    expect(passes.map(({ counts }) => counts.reEncrypted)).toEqual([secrets.length, 0, 0])
    expect(evidence).toMatchObject({ basis: 'passes', reason: 'forbidden', servers: [], live: undefined })
    expect(lines).toEqual([
      expect.stringMatching(/metrics do not tell .* given time to take up the new one: [123] s\.$/)
    ])
    expect(await tally()).toEqual({ 1: secrets.length })
  })

  test('where metrics are refused, one that lags is found out by the probes, and out-waited', async () => {
    const lagging = cluster.controlPlane.holdBack(1)
    const keyChange = await changeTo([first, second, identity])
    const { lines, proof } = cluster.prove({ as: cluster.limited, writeKey: UNDER_FIRST, keyChange, settleMs: 0 })
    await eventually(() =>
      Promise.resolve(lines.includes('Waiting: the API servers do not agree yet on how a Secret is to be written.'))
    )
    await lagging.catchUp()
    expect(await proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'passes', reason: 'forbidden' } })
    expect(await tally()).toEqual({ 1: secrets.length })
  })

  test.each([
    ['with metrics', 'operator', { basis: 'metrics' }],
    ['without', 'limited', { basis: 'passes' }]
  ] as const)('one that never catches up is behind in the end, %s', async (_, as, evidence) => {
    cluster.controlPlane.holdBack(1)
    const keyChange = await changeTo([identity, second, first])
    const clock = new HastyClock()
    const writeKey = { kind: 'none' } as const
    const { proof } = cluster.prove({ as: cluster[as], writeKey, keyChange, behindMs: 30_000, settleMs: 0, clock })
    expect(await proof).toMatchObject({ verdict: 'behind', evidence })
    const { servers } = (await proof).evidence
    const states = as === 'operator' ? ['behind', 'current'] : []
    expect(servers.map(({ state }) => state).toSorted()).toEqual(states)
  })

  test('while one never comes to know the new key, nothing is written that it could not read', async () => {
    await changeTo([second, identity])
    cluster.controlPlane.holdBack(1)
    const keyChange = await changeTo([first, second, identity])
    const clock = new HastyClock()
    const { proof } = cluster.prove({ writeKey: UNDER_FIRST, keyChange, behindMs: 30_000, clock })
    expect(await proof).toMatchObject({ verdict: 'behind', passes: [] })
    expect(await tally()).toEqual({ 2: secrets.length })
  })
})

function hashOf(keyId: string): string {
  const byPlugin = createHash('sha256').update(keyId).digest('hex')
  return `sha256:${createHash('sha256').update(byPlugin).digest('hex')}`
}
