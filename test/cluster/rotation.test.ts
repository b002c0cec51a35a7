import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { epoch, type KeyVersionState } from '../../testbed/azure/key-versions.ts'
import { startRealBed, type Bed, type Inputs, type VaultKind } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, recordOf } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 60, namespaces: 4 })
/** Seconds. */
const DAY = 86_400

describe.each<[string, VaultKind, number]>([
  ['a Public vault with Azure RBAC', { rbac: true }, 2],
  ['a Public vault with access policies', { rbac: false }, 1],
  ['a Private vault', { private: true }, 1]
])('%s', (_name, kind, apiServers) => {
  let bed: Bed

  beforeAll(async () => {
    bed = await startRealBed({ kms: true, timeScale: 0.001, apiServers, vault: kind, secrets: seeds })
  })
  afterAll(async () => {
    await bed.stop()
  })

  const isPrivate = kind.private === true

  async function currentVersion(): Promise<KeyVersionState> {
    const { provedKeyId } = (await recordOf(bed)) ?? {}
    const version = bed.vault.versions('etcd').find(({ id }) => id === provedKeyId)
    if (version === undefined) throw new Error(`There is no key version ${String(provedKeyId)}.`)
    return version
  }

  /** Of a Private vault somebody inside its network does. */
  async function makeVersions(count: number): Promise<void> {
    for (const version of bed.vault.versions('etcd')) version.created -= 10
    for (let made = 0; isPrivate && made < count; made++)
      await bed.vault.addKey('etcd', { created: epoch() - count + made })
  }

  test('retire-previous: the key version of before may be disabled at once', async () => {
    await makeVersions(2)
    const result = await bed.run('rotate', { 'retire-previous': 'true' })
    const report = expectGreen(result)
    const [first] = bed.vault.versions('etcd')
    expect(report.keys.map(({ state }) => state)).toEqual(['current', 'keep', 'may-be-retired'])
    expect(report.keys[2]?.keyId).toBe(first?.id)
    expect(report.proofs.map(({ when, counts }) => [when, counts.reEncrypted])).toEqual([
      ['before-change', 0],
      ['after-change', seeds.length],
      ['after-change', seeds.length]
    ])
    if (first !== undefined) first.enabled = false
    // API servers that are started anew have none of its keys in memory.
    await bed.controlPlane.roll(bed.cluster.encryption)
    await expectStored(bed, seeds, (await currentVersion()).id)
  })

  test('max-key-age: nothing is touched before the day, and on it the key is rotated', async () => {
    const current = await currentVersion()
    const [writes, secrets] = [bed.azure.writes.length, await bed.controlPlane.storedSecrets()]
    const early = expectGreen(await bed.run('rotate', { 'max-key-age': '90d' }))
    expect(early).toMatchObject({ changed: false, sentence: expect.stringMatching(/^Not due until/) })
    expect(bed.azure.writes).toHaveLength(writes)
    expect(await bed.controlPlane.storedSecrets()).toEqual(secrets)

    current.created = epoch() - 90 * DAY
    await makeVersions(1)
    const report = expectGreen(await bed.run('rotate', { 'max-key-age': '90d' }))
    expect(report).toMatchObject({ changed: true, proved: true })
    const after = await currentVersion()
    expect(after.id).not.toBe(current.id)
    await expectStored(bed, seeds, after.id)
  })

  test.each<[string, (current: KeyVersionState) => void, (current: KeyVersionState) => void]>([
    [
      'expired',
      (current) => {
        current.expires = epoch() - DAY
      },
      (current) => {
        current.expires = epoch() + DAY
      }
    ],
    [
      'disabled',
      (current) => {
        current.enabled = false
      },
      (current) => {
        current.enabled = true
      }
    ],
    [
      'deleted',
      () => {
        const key = bed.vault.keys.get('etcd')
        if (key !== undefined) key.deleted = epoch() - 60
      },
      () => {
        const key = bed.vault.keys.get('etcd')
        if (key !== undefined) key.deleted = undefined
      }
    ]
  ])('%s, with API servers that do not come back: repaired, and rotated off', async (state, harm, mend) => {
    const current = await currentVersion()
    const repair: Inputs = { repair: 'true' }
    harm(current)
    await bed.controlPlane.restart()
    expect((await bed.controlPlane.request('GET', '/readyz')).status).toBe(500)
    expect((await bed.controlPlane.request('GET', '/api/v1/secrets?limit=5')).status).toBe(500)

    const writes = bed.azure.writes.length
    if (isPrivate) {
      // Of deleted keys the vault itself alone knows.
      const code = state === 'deleted' ? 'current-key-lost' : 'data-plane-unreachable'
      const way = state === 'deleted' ? 'az keyvault key list-deleted' : 'inside the vault’s network'
      const report = expectRed(await bed.run('rotate', repair), code)
      expect(report).toMatchObject({
        result: 'refused',
        error: { fix: expect.stringContaining(way) }
      })
      mend(current)
      await makeVersions(1)
    } else {
      expectRed(await bed.run('rotate'), 'current-key-unusable')
    }
    expect(bed.azure.writes).toHaveLength(writes)

    const report = expectGreen(await bed.run('rotate', repair))
    expect(report.steps.map(({ kind }) => kind).includes('repair-key')).toBe(!isPrivate)
    const after = await currentVersion()
    expect(report.keys.slice(0, 2).map(({ keyId, state }) => [keyId, state])).toEqual([
      [after.id, 'current'],
      [current.id, 'keep']
    ])
    await expectStored(bed, seeds, after.id)
  })
})
