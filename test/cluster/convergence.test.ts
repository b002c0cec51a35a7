import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

import type { Evidence, KeyChange } from '../../src/model/api-servers.ts'
import type { RunReport } from '../../src/model/report.ts'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
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
  async function runWhileLagging(count: number, operation: string): Promise<RunResult> {
    const lagging = bed.controlPlane.holdBack(count)
    const waits = `Waiting: ${count === 1 ? '1 of 3 API servers does' : `${count} of 3 API servers do`} not write under`
    const { promise: waiting, resolve } = Promise.withResolvers<undefined>()
    const running = bed.run(
      operation,
      {},
      {
        onLine: (line) => {
          if (line.startsWith(waits)) resolve(undefined)
        }
      }
    )
    try {
      await Promise.race([waiting, running])
      // It looks again every 5 s.
      const ended = await Promise.race([running, sleep(6_000)])
      expect(ended?.log).toBeUndefined()
    } finally {
      await lagging.catchUp()
    }
    const result = await running
    const { basis, live, servers, waitedMs } = lastEvidence(expectGreen(result))
    expect({ basis, live, states: servers.map(({ state }) => state) }).toEqual({
      basis: 'metrics',
      live: 3,
      states: ['current', 'current', 'current']
    })
    expect(waitedMs).toBeGreaterThan(5_000)
    return result
  }

  test('one that does not know the new key is waited for before any Secret is written; then each one’s keys are told', async () => {
    const result = await runWhileLagging(1, 'rotate')
    const report = expectGreen(result)
    expect(report.proofs.at(-1)?.passes.map(({ counts }) => counts.reEncrypted)).toEqual([seeds.length, 0])
    const [old = '', wanted = ''] = bed.keyIds()
    await expectStored(bed, seeds, wanted)

    expect({ valid: validate(report), errors: validate.errors }).toEqual({ valid: true, errors: null })
    const { servers } = lastEvidence(report)
    expect(new Set(servers.map(({ id }) => id)).size).toBe(3)
    for (const { keys } of servers) {
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
  })

  test('two that go on encrypting after KMS was switched off are out-waited', async () => {
    await runWhileLagging(2, 'disable')
    await expectStored(bed, seeds, 'identity')
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

  test('one that writes under the key of before for ever is behind in the end', async () => {
    cluster.controlPlane.holdBack(1)
    const keyChange = await changeTo([first, second, identity])
    const proof = cluster.prove({ writeKey: UNDER_FIRST, keyChange, behindMs: 30_000, clock: new HastyClock() }).proof
    const { verdict, evidence } = await proof
    expect({ verdict, basis: evidence.basis }).toEqual({ verdict: 'behind', basis: 'metrics' })
    expect(evidence.servers.map(({ state }) => state).toSorted()).toEqual(['behind', 'current'])
  })

  test('one that goes on encrypting for ever is behind in the end, where metrics are refused too', async () => {
    cluster.controlPlane.holdBack(1)
    const keyChange = await changeTo([identity, second, first])
    const more = { as: cluster.limited, behindMs: 30_000, settleMs: 0, clock: new HastyClock() }
    const { proof } = cluster.prove({ writeKey: { kind: 'none' }, keyChange, ...more })
    expect(await proof).toMatchObject({ verdict: 'behind', evidence: { basis: 'passes', servers: [] } })
  })

  test('one that keeps its Lease, and to which no connection leads, is told and holds up nothing', async () => {
    const lease = {
      metadata: { name: 'apiserver-elsewhere', labels: { 'apiserver.kubernetes.io/identity': 'kube-apiserver' } },
      spec: {
        holderIdentity: 'apiserver-elsewhere_1',
        leaseDurationSeconds: 3600,
        renewTime: new Date().toISOString().replace('Z', '000Z')
      }
    }
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
    expect((await cluster.controlPlane.request('POST', leases, lease)).status).toBe(201)
    const writeKey = { kind: 'key', keyId: SECOND_KEY_ID } as const
    const { lines, proof } = cluster.prove({ writeKey, clock: new HastyClock() })
    expect(await proof).toMatchObject({
      verdict: 'proved',
      passes: [{}],
      evidence: { live: 3, servers: [{ state: 'current' }, { state: 'current' }] }
    })
    expect(lines).toEqual(['Waiting: 1 of 3 API servers was not met yet.'])
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
