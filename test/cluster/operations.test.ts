import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectStored, recordOf } from '../action/expectations.ts'

const SECRETS = 500
const seeds = demoSecrets({ secrets: SECRETS, namespaces: 10 })

describe('two real API servers', () => {
  let bed: Bed

  beforeAll(async () => {
    bed = await startRealBed({ timeScale: 0.001, apiServers: 2, secrets: seeds })
  })
  afterAll(async () => {
    await bed.stop()
  })

  /** Every Secret re-encrypted once by this run and proved, by what it says and by what lies in etcd. */
  async function runAndExpect(
    operation: string,
    inputs: Readonly<Record<string, string>>,
    under: string
  ): Promise<void> {
    const result = await bed.run(operation, inputs)
    expectGreen(result)
    await expectStored(bed, seeds, under)
    expect(result.outputs).toMatchObject({
      changed: 'true',
      proved: 'true',
      'secrets-total': String(SECRETS),
      'secrets-re-encrypted': String(SECRETS),
      'secrets-failed': '0'
    })
  }

  test('enable', async () => {
    const [keyId = ''] = bed.keyIds()
    await runAndExpect('enable', { 'key-id': keyId }, keyId)
  })

  test.each([1, 2, 3])(
    'rotation %i, after which the key version before the previous one is no longer needed',
    async (rotation) => {
      const keyId = await bed.addKeyVersion()
      await runAndExpect('rotate', {}, keyId)
      expect(await recordOf(bed)).toMatchObject({ provedKeyId: keyId, previousKeyId: bed.keyIds()[rotation - 1] })
      const retired = bed.vault.versions('etcd')[rotation - 2]
      if (retired === undefined) return
      retired.enabled = false
      // API servers that are started anew have none of its keys in memory.
      await bed.controlPlane.roll(bed.cluster.encryption)
      await expectStored(bed, seeds, keyId)
    }
  )

  test('disable', async () => {
    await runAndExpect('disable', {}, 'identity')
  })

  test('enable again', async () => {
    const keyId = await bed.addKeyVersion()
    await runAndExpect('enable', { 'key-id': keyId }, keyId)
  })
})

test('from KMS v1 on 1.25 to KMS v2 on 1.27, over two minors', async () => {
  const bed = await startRealBed({
    kms: true,
    timeScale: 0.001,
    apiServers: 2,
    secrets: seeds,
    cluster: { kubernetesVersion: '1.25.6' }
  })
  try {
    const [keyId = ''] = bed.keyIds()
    expect(new Set((await bed.controlPlane.storedSecrets()).map(({ provider }) => provider))).toEqual(
      new Set([expect.stringMatching(/^k8s:enc:kms:v1:/)])
    )
    const report = expectGreen(await bed.run('migrate-v2'))
    expect(report.before?.kubernetesVersion).toBe('1.25.6')
    expect(report.after?.kubernetesVersion).toMatch(/^1\.27\./)
    expect(report.steps.map(({ kind }) => kind)).toEqual([
      'record-goal',
      'prove-secrets',
      'set-kms-profile',
      'prove-secrets',
      'upgrade-control-plane',
      'upgrade-control-plane',
      'set-kms-profile',
      'prove-secrets',
      'upgrade-node-pools'
    ])
    await expectStored(bed, seeds, keyId)
    expect(
      (await bed.controlPlane.storedSecrets()).every(({ provider }) => provider.startsWith('k8s:enc:kms:v2:'))
    ).toBe(true)
  } finally {
    await bed.stop()
  }
})
