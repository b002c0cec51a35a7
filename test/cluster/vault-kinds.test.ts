import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startRealBed, type Bed, type Inputs, type VaultKind } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectStored } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 40, namespaces: 4 })

describe.each<[string, VaultKind]>([
  ['a Public vault with Azure RBAC', { rbac: true }],
  ['a Public vault with access policies', { rbac: false }],
  ['a Private vault', { private: true }]
])('%s', (_name, kind) => {
  let bed: Bed

  beforeAll(async () => {
    bed = await startRealBed({ timeScale: 0.001, vault: kind, secrets: seeds })
  })
  afterAll(async () => {
    await bed.stop()
  })

  async function runAndExpect(operation: string, inputs: Inputs, under: () => string): Promise<void> {
    const report = expectGreen(await bed.run(operation, inputs))
    expect(report).toMatchObject({ changed: true, proved: true, findings: [] })
    await expectStored(bed, seeds, under())
  }

  test('enable', async () => {
    const [keyId = ''] = bed.keyIds()
    const privately = { 'key-vault-network-access': 'Private', 'key-vault-resource-id': bed.vault.id }
    await runAndExpect('enable', { 'key-id': keyId, ...(kind.private === true ? privately : {}) }, () => keyId)
  })

  test('rotate', async () => {
    // The vault makes the version itself, or somebody who reaches it does.
    if (kind.private === true) await bed.addKeyVersion()
    await runAndExpect('rotate', {}, () => bed.keyIds()[1] ?? '')
    expect(bed.keyIds()).toHaveLength(2)
  })

  test('disable', async () => {
    await runAndExpect('disable', {}, () => 'identity')
  })

  // A runner outside of the vault's network reaches it no other way.
  const dataPlane = kind.private === true ? 'is never asked' : 'is asked'
  test(`the vault itself ${dataPlane}`, () => {
    const hosts = new Set(bed.azure.requests.map(({ host }) => host))
    expect(hosts.has(new URL(bed.vault.url).host)).toBe(kind.private !== true)
  })
})
