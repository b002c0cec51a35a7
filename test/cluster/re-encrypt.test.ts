import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import type { EncryptionProvider } from '../../testbed/contract.ts'
import { startRealControlPlane, type RealControlPlane } from '../../testbed/control-plane/real.ts'
import { startNetwork } from '../../testbed/network.ts'
import { runAction, type RunResult } from '../../testbed/runner/run-action.ts'
import { compareContents, demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored } from '../action/expectations.ts'
import { kubeconfigOfAdministrator } from '../action/kubeconfigs.ts'
import { expectReencryptedAfterChange } from '../action/re-encryption.ts'
import { inMemoryVault } from '../conformance/vault.ts'

const SECRETS = 200
const seeds = demoSecrets({ secrets: SECRETS, namespaces: 6 })

describe('two real API servers of a cluster of Azure', () => {
  let bed: Bed
  beforeAll(async () => {
    bed = await startRealBed({ kms: true, timeScale: 0.001, apiServers: 2, secrets: seeds })
  })
  afterAll(() => bed.stop())

  test('after the key was changed behind the action’s back: every Secret is under it', async () => {
    const [first = ''] = bed.keyIds()
    const keyId = await bed.addKeyVersion()
    const { proofs } = await expectReencryptedAfterChange(bed, seeds, { from: first, to: keyId })
    expect(proofs[0]?.evidence).toMatchObject({ basis: 'metrics', live: 2 })
  })

  test('after an update that failed with the key changed: the Secrets are under the new one all the same', async () => {
    const before = bed.keyIds().at(-1) ?? ''
    bed.cluster.failNextOperation({ code: 'InternalOperationError', message: 'Internal server error', afterRoll: true })
    const result = await bed.run('rotate')
    const report = expectRed(result, 'cluster-update-failed')
    const keyId = bed.keyIds().at(-1) ?? ''
    expect(keyId).not.toBe(before)
    await expectStored(bed, seeds, keyId)
    expect(report.steps.at(-1)).toMatchObject({
      title: 'Re-encrypt every Secret although the update failed',
      result: 'done'
    })
    expect(report.proofs.at(-1)?.counts).toMatchObject({ total: SECRETS, reEncrypted: SECRETS, failed: 0 })
    expect(report.proved).toBe(false)
    expect(report.keys.map(({ keyId: named, state }) => [named, state])).toEqual(
      expect.arrayContaining([
        [keyId, 'current'],
        [before, 'keep']
      ])
    )
    expectGreen(await bed.run('rotate'))
    expect(bed.keyIds().at(-1)).toBe(keyId)
    await expectStored(bed, seeds, keyId)
  })

  test('after an update that failed with nothing changed: nothing is lost, and the next run makes it', async () => {
    const before = bed.keyIds().at(-1) ?? ''
    const message = 'KeyExpired: Operation encrypt isn’t allowed on an expired key'
    bed.cluster.failNextOperation({ code: 'InternalOperationError', message })
    const report = expectRed(await bed.run('rotate'), 'cluster-update-failed')
    expect(report.error?.message).toContain('The key version has expired')
    expect(report.error?.fix).toContain('az keyvault key set-attributes')
    await expectStored(bed, seeds, before)
    expectGreen(await bed.run('rotate'))
    await expectStored(bed, seeds, bed.keyIds().at(-1) ?? '')
  })
})

test('two real API servers without Azure, by their kubeconfig alone: a key in a file, the next one, and a key of KMS', async () => {
  const fileKey = (keyName: string): EncryptionProvider => ({
    kind: 'aescbc',
    keyName,
    secret: Buffer.from(keyName.padEnd(32, '.')).toString('base64')
  })
  const kms: EncryptionProvider = {
    kind: 'kms',
    apiVersion: 'v2',
    name: 'platform',
    keyId: 'https://kms.platform.example/keys/etcd/1'
  }
  const network = await startNetwork({ certificateAuthority: await createCertificateAuthority() })
  let controlPlane: RealControlPlane | undefined
  try {
    const started = await startRealControlPlane({
      apiServers: 2,
      keyOperations: inMemoryVault(),
      authenticateToken: () => undefined,
      encryption: [{ kind: 'identity' }]
    })
    controlPlane = started
    await started.seed(seeds)
    /** Nothing of Azure or GitHub is set, and the only way out leads nowhere. */
    const run = (): Promise<RunResult> =>
      runAction({
        inputs: { operation: 're-encrypt', kubeconfig: kubeconfigOfAdministrator(started) },
        env: { HTTPS_PROXY: network.proxyUrl, NO_PROXY: '127.0.0.1' }
      })
    for (const [provider, encryption, said] of [
      [
        'k8s:enc:aescbc:v1:first',
        [fileKey('first'), { kind: 'identity' }],
        /names no key, as with keys in local files/
      ],
      ['k8s:enc:aescbc:v1:second', [fileKey('second'), fileKey('first')], /names no key, as with keys in local files/],
      ['k8s:enc:kms:v2:platform', [kms, fileKey('second')], /all 2 API servers that answered last wrote under the key/]
    ] as const) {
      await started.roll(encryption)
      const result = await run()
      const report = expectGreen(result)
      const stored = await started.storedSecrets()
      expect(new Set(stored.map((secret) => secret.provider))).toEqual(new Set([provider]))
      expect(stored).toHaveLength(SECRETS)
      expect(await compareContents(started, seeds)).toEqual([])
      expect(report).toMatchObject({ proved: true, changed: false, proofs: [{ counts: { reEncrypted: SECRETS } }] })
      expect(result.summary).toMatch(said)
    }
    expect([...network.connected, ...network.refused]).toEqual([])
  } finally {
    await controlPlane?.stop()
    await network.close()
  }
})
