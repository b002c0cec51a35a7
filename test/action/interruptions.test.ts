import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, lockHolder, recordOf, reportOf, LOCK } from './expectations.ts'

const seeds = demoSecrets({ secrets: 60, namespaces: 4 })
const CLUSTER = /managedClusters\/[^/]+$/

let bed: Bed<EmbeddedControlPlane>

beforeEach(async () => {
  bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
})
afterEach(async () => {
  await bed.stop()
})

/** Calls back once, when so many patches of Secrets have been answered since now. */
function afterPatches(count: number, callback: () => void): void {
  let left = count
  const stop = bed.controlPlane.faults.observe(({ request }) => {
    if (request.verb !== 'patch' || --left > 0) return
    stop()
    callback()
  })
}

describe('a run that is cut off', () => {
  test('is cancelled within two seconds, with counts so far, a summary, and the lock given back', async () => {
    const cancel = new AbortController()
    let cancelledAt = 0
    bed.controlPlane.faults.inject(
      { kind: 'delay', milliseconds: 50 },
      { when: ({ verb }) => verb === 'patch', times: 1000 }
    )
    afterPatches(20, () => {
      cancelledAt = performance.now()
      cancel.abort()
    })
    const result = await bed.run('rotate', {}, { cancel: cancel.signal })
    expect(performance.now() - cancelledAt).toBeLessThan(2_000)
    const report = expectRed(result, 'cancelled')
    expect(report.steps.at(-1)).toMatchObject({ kind: 'prove-secrets', result: 'cancelled' })
    expect(await lockHolder(bed)).toBe('')

    expectGreen(await bed.run('rotate'))
    // The version that the cancelled run made is taken, and no further one is made.
    expect(bed.keyIds()).toHaveLength(2)
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test.each<[string, number]>([
    ['before the key was changed', 30],
    ['after the key was changed', 90]
  ])('is lost while re-encrypting %s: run again it ends where it was to end', async (_name, patches) => {
    const kill = new AbortController()
    afterPatches(patches, () => {
      kill.abort()
    })
    await expect(bed.run('rotate', {}, { kill: kill.signal })).resolves.toMatchObject({ exitCode: null })
    expect(await recordOf(bed)).toHaveProperty('goal')
    // The lease of a lost run expires in a minute; what a test of the lock waits for is not waited for here.
    await bed.controlPlane.request('DELETE', LOCK)

    const report = expectGreen(await bed.run('rotate'))
    expect(bed.keyIds()).toHaveLength(2)
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
    expect(await recordOf(bed)).not.toHaveProperty('goal')
    if (patches > seeds.length) expect(report.sentence).toMatch(/Finished the interrupted rotation/)
  })

  test('is lost while AKS is changing the key: run again it waits, and proves', async () => {
    const kill = new AbortController()
    bed.azure.disturb({ method: 'GET', url: /\/operations\//, meanwhile: () => kill.abort() })
    await bed.run('rotate', {}, { kill: kill.signal })
    await bed.controlPlane.request('DELETE', LOCK)
    expectGreen(await bed.run('rotate', { 'max-key-age': '1h' }))
    expect(bed.keyIds()).toHaveLength(2)
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })
})

describe('what somebody else does', () => {
  test('a rotation that nobody re-encrypted after does not cost the Secrets at ours', async () => {
    const foreign = await bed.addKeyVersion()
    await bed.cluster.changeKms({ enabled: true, keyId: foreign, keyVaultNetworkAccess: 'Public' })
    const report = expectGreen(await bed.run('rotate'))
    expect(report.proofs[0]).toMatchObject({ when: 'before-change', counts: { reEncrypted: seeds.length } })
    expect(bed.cluster.stuck).toBe(false)
    await expectStored(bed, seeds, bed.keyIds()[2] ?? '')
  })

  test('a change of the cluster between reading and writing is not lost', async () => {
    bed.azure.disturb({
      method: 'PUT',
      url: CLUSTER,
      meanwhile: () => {
        bed.cluster.change((body) => ({ ...body, tags: { team: 'platform' } }))
      }
    })
    expectGreen(await bed.run('rotate'))
    expect(bed.cluster.body['tags']).toEqual({ team: 'platform' })
    expect(
      bed.azure.writes.filter(({ method, path }) => method === 'PUT' && CLUSTER.test(path)).map(({ status }) => status)
    ).toEqual([412, 200])
  })

  test('an operation of somebody else is waited for first', async () => {
    bed.cluster.setProvisioningState('Updating', 'Updating')
    const onLine = (line: string): void => {
      if (line.includes('Updating')) bed.cluster.setProvisioningState('Succeeded', 'Succeeded')
    }
    const report = expectGreen(await bed.run('rotate', {}, { onLine }))
    expect(report.steps[0]?.kind).toBe('wait-for-cluster')
    expect(report.keys.map(({ state }) => state)).toEqual(['current', 'keep'])
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test('two runs at once: one works, the other is refused and names the first', async () => {
    bed.controlPlane.faults.inject({ kind: 'delay', milliseconds: 30_000 }, { when: ({ verb }) => verb === 'patch' })
    const first = bed.run('rotate')
    const second = (async () => {
      while ((await lockHolder(bed)) === undefined) await new Promise((resolve) => setTimeout(resolve, 20))
      return await bed.run('disable')
    })()
    const report = expectRed(await second, 'lock-held')
    expect(report.sentence).toContain('/actions/runs/')
    expectGreen(await first)
  })
})

describe('what Azure does', () => {
  test('an update that fails after the key was changed: the Secrets are re-encrypted all the same, the next run mends it', async () => {
    bed.cluster.failNextOperation({ code: 'InternalOperationError', message: 'Internal server error', afterRoll: true })
    const result = await bed.run('rotate')
    const report = expectRed(result, 'cluster-update-failed')
    expect(report.sentence).toContain('InternalOperationError')
    expect(report.proved).toBe(false)
    expect(report.keys.map(({ state }) => state)).toEqual(['current', 'keep'])
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')

    expectGreen(await bed.run('rotate'))
    expect(bed.keyIds()).toHaveLength(2)
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test('an update that fails before the key was changed: the next run makes it', async () => {
    bed.cluster.failNextOperation({ code: 'InternalOperationError', message: 'Internal server error' })
    expectRed(await bed.run('rotate'), 'cluster-update-failed')
    await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
    expectGreen(await bed.run('rotate'))
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test('an update that is refused: nothing is changed, and the service’s words are shown', async () => {
    bed.azure.disturb({
      method: 'PUT',
      url: CLUSTER,
      reply: {
        status: 400,
        body: { code: 'BadRequest', details: null, message: 'This is not supported today.', subcode: '' }
      }
    })
    const report = expectRed(await bed.run('rotate'), 'cluster-update-rejected')
    expect(report.sentence).toContain('This is not supported today.')
    expect(report.changed).toBe(false)
  })

  test('polls that are throttled, fail, or are cut off say nothing of the operation', async () => {
    const url = /\/operations\//
    bed.azure.disturb({ url, reply: { status: 502, body: { error: { code: 'BadGatewayConnection', message: '' } } } })
    bed.azure.disturb({
      url,
      reply: { status: 429, headers: { 'retry-after': '1' }, body: { error: { code: 'Throttled', message: '' } } }
    })
    bed.azure.disturb({ url, reply: 'reset' })
    bed.azure.disturb({ url, reply: { status: 504, body: '<html>Gateway Timeout</html>' } })
    expectGreen(await bed.run('rotate'))
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test('an update whose answer is lost is made once', async () => {
    bed.azure.disturb({ method: 'PUT', url: CLUSTER, loseAnswer: true })
    expectGreen(await bed.run('rotate'))
    expect(bed.keyIds()).toHaveLength(2)
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })
})

describe('Secrets that can’t be rewritten', () => {
  test('are found before anything is changed, and named', async () => {
    const [one] = seeds
    if (one === undefined) throw new Error('no seeds')
    const admit = bed.controlPlane.faults.denyByWebhook(one.namespace, one.name)
    const writes = bed.azure.writes.length
    const result = await bed.run('rotate', { 'key-id': await bed.addKeyVersion() })
    // An admission webhook sees a no-op patch too.
    const report = expectRed(result, 'secrets-failed')
    expect(report.proofs[0]?.failures).toEqual([
      expect.objectContaining({ namespace: one.namespace, name: one.name, permanence: 'permanent', status: 403 })
    ])
    expect(result.outputs['secrets-failed']).toBe('1')
    expect(result.summary).toContain(one.name)
    expect(bed.azure.writes).toHaveLength(writes)
    expect(reportOf(result).changed).toBe(false)

    admit()
    expectGreen(await bed.run('rotate'))
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test('after the key was changed the rest is done, the run is red, and the next one finishes it', async () => {
    const [one] = seeds
    if (one === undefined) throw new Error('no seeds')
    let admit: (() => void) | undefined
    bed.azure.disturb({
      method: 'PUT',
      url: CLUSTER,
      meanwhile: () => {
        admit = bed.controlPlane.faults.denyByWebhook(one.namespace, one.name)
      }
    })
    const report = expectRed(await bed.run('rotate'), 'secrets-failed')
    expect(report).toMatchObject({ changed: true, proved: false })
    expect(report.proofs.at(-1)?.counts).toMatchObject({ reEncrypted: seeds.length - 1, failed: 1 })
    expect(report.keys).toContainEqual(expect.objectContaining({ keyId: bed.keyIds()[0], state: 'keep' }))

    admit?.()
    expect(expectGreen(await bed.run('rotate')).sentence).toMatch(/Finished the interrupted rotation/)
    expect(bed.keyIds()).toHaveLength(2)
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })
})
