import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { canaryTraces, demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectStored, lockHolder, readable, recordOf, LOCK } from './expectations.ts'

const SECRETS = 120
const seeds = demoSecrets({ secrets: SECRETS, namespaces: 8 })

describe('the life of a cluster', () => {
  let bed: Bed<EmbeddedControlPlane>
  const received: string[] = []

  beforeAll(async () => {
    bed = await startEmbeddedBed({ timeScale: 0.001, secrets: seeds })
    bed.controlPlane.faults.observe(({ request, body }) => {
      if (!request.user.groups.includes('system:masters')) received.push(body)
    })
  })
  afterAll(async () => {
    await bed.stop()
  })

  test('enable encrypts every Secret, and says so', async () => {
    const [keyId = ''] = bed.keyIds()
    const result = await bed.run('enable', { 'key-id': keyId })
    const report = expectGreen(result)
    await expectStored(bed, seeds, keyId)
    expect(result.outputs).toMatchObject({
      changed: 'true',
      proved: 'true',
      'key-id-before': '',
      'key-id-after': keyId,
      'secrets-total': String(SECRETS),
      'secrets-re-encrypted': String(SECRETS),
      'secrets-already-current': '0',
      'secrets-failed': '0',
      'plan-hash': expect.stringMatching(/^[0-9a-f]{64}$/)
    })
    expect(JSON.parse(result.outputs['security-profile-after'] ?? '')).toMatchObject({
      azureKeyVaultKms: { enabled: true, keyId, keyVaultNetworkAccess: 'Public' }
    })
    expect(report.proofs.map(({ when, counts }) => [when, counts.reEncrypted])).toEqual([
      ['before-change', 0],
      ['after-change', SECRETS]
    ])
    expect(await recordOf(bed)).toMatchObject({
      provedKeyId: keyId,
      provedBy: expect.stringContaining('/actions/runs/')
    })
    expect(await recordOf(bed)).not.toHaveProperty('goal')
    expect(await lockHolder(bed)).toBe('')
  })

  test('enable again changes nothing and proves', async () => {
    const writes = bed.azure.writes.length
    const result = await bed.run('enable', { 'key-id': bed.keyIds()[0] ?? '' })
    expectGreen(result)
    expect(result.outputs).toMatchObject({
      changed: 'false',
      proved: 'true',
      'secrets-already-current': String(SECRETS)
    })
    expect(bed.azure.writes).toHaveLength(writes)
  })

  test('a dry run tells what a rotation will do, and touches nothing', async () => {
    const writes = bed.azure.writes.length
    const before = await bed.controlPlane.storedSecrets()
    const lockedBefore = await bed.controlPlane.request('GET', LOCK)
    const result = await bed.run('rotate', { 'dry-run': 'true' })
    const report = expectGreen(result)
    expect(report.result).toBe('planned')
    expect(report.plan?.steps.map(({ kind }) => kind)).toEqual([
      'create-key-version',
      'record-goal',
      'prove-secrets',
      'set-kms-profile',
      'prove-secrets'
    ])
    expect(bed.azure.writes).toHaveLength(writes)
    expect(bed.keyIds()).toHaveLength(1)
    expect(await bed.controlPlane.storedSecrets()).toEqual(before)
    const lockedAfter = await bed.controlPlane.request('GET', LOCK)
    expect(lockedAfter.body).toEqual(lockedBefore.body)
    const again = await bed.run('rotate', { 'dry-run': 'true' })
    expect(again.outputs['plan-hash']).toBe(result.outputs['plan-hash'])
  })

  test('rotate makes a version, and the key of before must be kept', async () => {
    const planned = await bed.run('rotate', { 'dry-run': 'true' })
    const [first = ''] = bed.keyIds()
    const result = await bed.run('rotate')
    const report = expectGreen(result)
    const [, second = ''] = bed.keyIds()
    await expectStored(bed, seeds, second)
    expect(result.outputs).toMatchObject({ 'key-id-before': first, 'key-id-after': second })
    expect(result.outputs['plan-hash']).toBe(planned.outputs['plan-hash'])
    expect(report.keys).toEqual([
      expect.objectContaining({ keyId: second, state: 'current' }),
      expect.objectContaining({ keyId: first, state: 'keep' })
    ])
    expect(await recordOf(bed)).toMatchObject({ provedKeyId: second, previousKeyId: first })
  })

  test('rotate takes a newer version that is there already, and the oldest may be retired then', async () => {
    const third = await bed.addKeyVersion()
    const [first = '', second = ''] = bed.keyIds()
    const report = expectGreen(await bed.run('rotate'))
    expect(bed.keyIds()).toHaveLength(3)
    await expectStored(bed, seeds, third)
    expect(report.keys).toEqual([
      expect.objectContaining({ keyId: third, state: 'current' }),
      expect.objectContaining({ keyId: second, state: 'keep' }),
      expect.objectContaining({ keyId: first, state: 'may-be-retired' })
    ])
    const retired = bed.vault.versions('etcd')[0]
    if (retired !== undefined) retired.enabled = false
    await bed.controlPlane.roll(bed.cluster.encryption)
    await expectStored(bed, seeds, third)
  })

  test('rotate with max-key-age leaves a young key alone', async () => {
    const writes = bed.azure.writes.length
    const record = await recordOf(bed)
    const result = await bed.run('rotate', { 'max-key-age': '90d' })
    const report = expectGreen(result)
    expect(report.sentence).toMatch(/^Not due until \d{4}-\d\d-\d\d/)
    expect(result.outputs).toMatchObject({ changed: 'false', 'secrets-total': '' })
    expect(bed.azure.writes).toHaveLength(writes)
    expect(await recordOf(bed)).toEqual(record)
  })

  test('disable takes the keys off every Secret, and names those to keep', async () => {
    const result = await bed.run('disable')
    const report = expectGreen(result)
    await expectStored(bed, seeds, 'identity')
    const [, second = '', third = ''] = bed.keyIds()
    expect(result.outputs).toMatchObject({ 'key-id-before': third, 'key-id-after': '' })
    expect(report.keys.map(({ keyId, state }) => [keyId, state])).toEqual([
      [third, 'keep'],
      [second, 'keep']
    ])
  })

  test('enable once more, under another version', async () => {
    const fourth = await bed.addKeyVersion()
    expectGreen(await bed.run('enable', { 'key-id': fourth }))
    await expectStored(bed, seeds, fourth)
  })

  test('no value of a Secret ever reached the runner', () => {
    const all = received.join('\n')
    expect(received.length).toBeGreaterThan(SECRETS * 8)
    for (const trace of canaryTraces) expect(all).not.toContain(trace)
  })

  test('nobody else was called, and the cluster’s body lost nothing', () => {
    expect(bed.network.refused).toEqual([])
    expect(bed.network.failures).toEqual([])
    expect(new Set(bed.network.connected)).toEqual(
      new Set([
        `${bed.azure.cloud.authorityHost}:443`,
        `${bed.azure.cloud.resourceManagerHost}:443`,
        `${new URL(bed.vault.url).host}:443`
      ])
    )
  })
})

describe('the live log', () => {
  test('is a table of contents, without tokens, signed urls or kubeconfigs', async () => {
    const bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds.slice(0, 20) })
    try {
      const result = await bed.run('rotate')
      expectGreen(result)
      expect([...readable(result.log).matchAll(/^::group::(.*)$/gm)].map(([, title]) => title)).toEqual([
        'Take the lock on the cluster',
        expect.stringMatching(/^Make a new version of the key https:/),
        expect.stringMatching(/^Keep the goal/),
        expect.stringMatching(/^Prove every Secret/),
        expect.stringMatching(/^Set the cluster’s KMS profile: .* → /),
        expect.stringMatching(/^Re-encrypt every Secret/)
      ])
      expect(result.log.match(/^::group::/gm)).toHaveLength(result.log.match(/^::endgroup::/gm)?.length ?? 0)
      const shown = [readable(result.log), result.summary, result.report, JSON.stringify(result.outputs)].join('\n')
      expect(shown).not.toMatch(/eyJ[\w-]+\.eyJ/)
      expect(shown).not.toMatch(/[?&](t|c|s|h|sig)=/)
      expect(shown).not.toMatch(/certificate-authority-data|client-key-data|BEGIN [A-Z ]*PRIVATE KEY/)
      for (const mask of result.masks) expect(shown).not.toContain(mask)
    } finally {
      await bed.stop()
    }
  })
})
