import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed, type Inputs, type VaultKind } from '../../testbed/bed.ts'
import type { RunResult } from '../../testbed/runner/run-action.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { reconcile } from '../action/desired.ts'
import { expectGreen, expectStored } from '../action/expectations.ts'
import { expectReencryptedAfterChange } from '../action/re-encryption.ts'

const seeds = demoSecrets({ secrets: 40, namespaces: 4 })

const KINDS: readonly [string, VaultKind][] = [
  ['a Public vault with Azure RBAC', { rbac: true }],
  ['a Public vault with access policies', { rbac: false }],
  ['a Private vault', { private: true }]
]

describe.each(KINDS)('%s', (_name, kind) => {
  let bed: Bed

  beforeAll(async () => {
    bed = await startRealBed({ timeScale: 0.001, vault: kind, secrets: seeds })
  })
  afterAll(async () => {
    await bed.stop()
  })

  const isPrivate = kind.private === true

  function expectClean(result: RunResult): void {
    expect(expectGreen(result)).toMatchObject({ changed: true, proved: true, findings: [] })
  }

  const attached = (): Inputs =>
    isPrivate ? { 'key-vault-network-access': 'Private', 'key-vault-resource-id': bed.vault.id } : {}

  test('enable', async () => {
    const [keyId = ''] = bed.keyIds()
    expectClean(await bed.run('enable', { 'key-id': keyId, ...attached() }))
    await expectStored(bed, seeds, keyId)
  })

  test('status', async () => {
    const [keyId] = bed.keyIds()
    const report = expectGreen(await bed.run('status', { 'max-key-age': '200d' }))
    expect(report.clusters).toMatchObject([
      {
        result: 'ok',
        networkAccess: isPrivate ? 'Private' : 'Public',
        keyId,
        key: { ageDays: 100, newerVersions: 0 },
        record: { provedKeyId: keyId },
        findings: []
      }
    ])
  })

  test('rotate', async () => {
    // The vault makes the version itself, or somebody who reaches it does.
    if (isPrivate) await bed.addKeyVersion()
    expectClean(await bed.run('rotate'))
    expect(bed.keyIds()).toHaveLength(2)
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test('re-encrypt', async () => {
    const [first = '', second = ''] = bed.keyIds()
    await expectReencryptedAfterChange(bed, seeds, { from: second, to: first })
  })

  test('reconcile', async () => {
    const [, second = ''] = bed.keyIds()
    expectClean(await reconcile(bed, { key: second, ...attached() }))
    await expectStored(bed, seeds, second)
  })

  test('disable', async () => {
    expectClean(await bed.run('disable'))
    await expectStored(bed, seeds, 'identity')
  })

  // A runner outside of the vault's network reaches it no other way.
  test(`the vault itself ${isPrivate ? 'is never asked' : 'is asked'}`, () => {
    const hosts = new Set(bed.azure.requests.map(({ host }) => host))
    expect(hosts.has(new URL(bed.vault.url).host)).toBe(!isPrivate)
  })
})

describe.each(KINDS)('%s, from KMS v1 on 1.26', (_name, kind) => {
  test('migrate-v2', async () => {
    const bed = await startRealBed({
      kms: true,
      timeScale: 0.001,
      vault: kind,
      secrets: seeds,
      cluster: { kubernetesVersion: '1.26.12' }
    })
    try {
      const report = expectGreen(await bed.run('migrate-v2'))
      expect(report.after?.kubernetesVersion).toMatch(/^1\.27\./)
      await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
      const providers = new Set((await bed.controlPlane.storedSecrets()).map(({ provider }) => provider.slice(0, 15)))
      expect(providers).toEqual(new Set(['k8s:enc:kms:v2:']))
    } finally {
      await bed.stop()
    }
  })
})
