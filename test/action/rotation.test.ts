import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { epoch, type KeyVersionState } from '../../testbed/azure/key-versions.ts'
import type { RunOptions } from '../../testbed/runner/run-action.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, recordOf, LOCK } from './expectations.ts'

const seeds = demoSecrets({ secrets: 40, namespaces: 4 })
/** Seconds. */
const DAY = 86_400
const CLUSTER = /managedClusters\/[^/]+$/
const POLL = /\/operations\//

let bed: Bed<EmbeddedControlPlane>

beforeAll(async () => {
  bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, pluginTimeScale: 0.01, secrets: seeds })
})
afterAll(async () => {
  await bed.stop()
})

function versionOf(keyId: string): KeyVersionState {
  const version = bed.vault.versions('etcd').find(({ id }) => id === keyId)
  if (version === undefined) throw new Error(`There is no key version ${keyId}.`)
  return version
}

function setRotationPolicy(expiryTime: string | undefined): void {
  const key = bed.vault.keys.get('etcd')
  if (key !== undefined) key.rotationPolicy = expiryTime === undefined ? undefined : { attributes: { expiryTime } }
}

/** Of seconds since the epoch. */
function isoOf(time: number): string {
  return new Date(time * 1000).toISOString()
}

/** Two versions that are newer than all others, the first one older than the second; the others grow older for it. */
async function addNewerVersions(): Promise<readonly [string, string]> {
  for (const version of bed.vault.versions('etcd')) version.created -= 30 * DAY
  const older = await bed.vault.addKey('etcd', { created: epoch() - 2 * DAY })
  return [older.id, (await bed.vault.addKey('etcd', { created: epoch() - DAY })).id]
}

/** From now on the key version is as good as gone: API servers that start anew can't read what is under it. */
async function disableAndRestart(keyId: string): Promise<void> {
  versionOf(keyId).enabled = false
  await bed.controlPlane.roll(bed.cluster.encryption)
}

describe('retire-previous', () => {
  test('a dry run shows both rotations', async () => {
    const report = expectGreen(await bed.run('rotate', { 'retire-previous': 'true', 'dry-run': 'true' }))
    expect(report.plan?.steps.map(({ kind }) => kind)).toEqual([
      'create-key-version',
      'create-key-version',
      'record-goal',
      'prove-secrets',
      'set-kms-profile',
      'prove-secrets',
      'record-goal',
      'set-kms-profile',
      'prove-secrets'
    ])
    expect(bed.keyIds()).toHaveLength(1)
  })

  test('rotates twice with proof between, and the key version of before may be disabled at once', async () => {
    const result = await bed.run('rotate', { 'retire-previous': 'true' })
    const report = expectGreen(result)
    const { 'key-id-after': third = '' } = result.outputs
    const [first = '', ...made] = bed.keyIds()
    // Both were made in the same second.
    const second = made.find((keyId) => keyId !== third)
    expect(made).toHaveLength(2)
    expect(report.sentence).toContain(`AKS holds ${first} no longer: it may be disabled now.`)
    expect(report.keys.map(({ keyId, state }) => [keyId, state])).toEqual([
      [third, 'current'],
      [second, 'keep'],
      [first, 'may-be-retired']
    ])
    expect(report.proofs.map(({ when, counts }) => [when, counts.reEncrypted])).toEqual([
      ['before-change', 0],
      ['after-change', seeds.length],
      ['after-change', seeds.length]
    ])
    expect(result.outputs).toMatchObject({ 'key-id-before': first, changed: 'true', proved: 'true' })
    expect(await recordOf(bed)).toMatchObject({ provedKeyId: third, previousKeyId: second })
    expect(await recordOf(bed)).not.toHaveProperty('goal')
    await disableAndRestart(first)
    await expectStored(bed, seeds, third)
  })

  test.each<[string, (kill: () => void) => void, Inputs]>([
    [
      'while AKS makes the first key change',
      (kill) => bed.azure.disturb({ method: 'GET', url: POLL, meanwhile: kill }),
      { 'retire-previous': 'true' }
    ],
    [
      'between the two',
      (kill) => bed.azure.disturb({ method: 'PUT', url: CLUSTER, skip: 1, meanwhile: kill, reply: 'reset' }),
      {}
    ],
    [
      'while AKS makes the second key change',
      (kill) => {
        const meanwhile = (): void => bed.azure.disturb({ method: 'GET', url: POLL, meanwhile: kill })
        bed.azure.disturb({ method: 'PUT', url: CLUSTER, skip: 1, meanwhile })
      },
      {}
    ]
  ])('interrupted %s, the next run goes on to the same end', async (_name, arrange, inputs) => {
    const before = (await recordOf(bed))?.['provedKeyId'] ?? ''
    const [between, last] = await addNewerVersions()
    const kill = new AbortController()
    arrange(() => kill.abort())
    const { exitCode } = await bed.run('rotate', { 'retire-previous': 'true' }, { kill: kill.signal })
    expect(exitCode).toBeNull()
    await bed.controlPlane.request('DELETE', LOCK)
    expect(JSON.parse((await recordOf(bed))?.['goal'] ?? '{}')).toMatchObject({ retiring: before })

    const report = expectGreen(await bed.run('rotate', inputs))
    expect(bed.keyIds().at(-1)).toBe(last)
    expect(report.keys.map(({ keyId, state }) => [keyId, state]).slice(0, 3)).toEqual([
      [last, 'current'],
      [between, 'keep'],
      [before, 'may-be-retired']
    ])
    await disableAndRestart(before)
    await expectStored(bed, seeds, last)
  })
})

/** The version that the cluster encrypts under, as Key Vault has it. */
async function currentVersion(): Promise<KeyVersionState> {
  const { provedKeyId = '' } = (await recordOf(bed)) ?? {}
  return versionOf(provedKeyId)
}

describe('max-key-age', () => {
  test('due: rotates, and says since when it had been due and when it is due next', async () => {
    const before = await currentVersion()
    before.created = epoch() - 100 * DAY
    const result = await bed.run('rotate', { 'max-key-age': '90d' })
    const report = expectGreen(result)
    const after = await currentVersion()
    expect(after.id).not.toBe(before.id)
    const next = isoOf(after.created + 90 * DAY)
    expect(report).toMatchObject({ rotationDueAt: next, rotationOverdueSince: isoOf(before.created + 90 * DAY) })
    expect(result.outputs['next-rotation-due']).toBe(next)
    expect(result.summary).toMatch(/\*\*Next rotation\*\* due on \d{4}-.* This one had been due since \d{4}-/)
    expect(report.findings).toEqual([])
  })

  test('not due: touches nothing, and says when it is due; and what is wrong with the keys until then', async () => {
    const current = await currentVersion()
    const previous = versionOf((await recordOf(bed))?.['previousKeyId'] ?? '')
    const quiet = await bed.run('rotate', { 'max-key-age': '90d' })
    expect(expectGreen(quiet).findings).toEqual([])

    previous.enabled = false
    current.expires = epoch() + 30 * DAY
    setRotationPolicy('P120D')
    const writes = bed.azure.writes.length
    const result = await bed.run('rotate', { 'max-key-age': '90d' })
    const report = expectGreen(result)
    expect(report.sentence).toMatch(/^Not due until/)
    expect(report.rotationDueAt).toBe(isoOf(current.created + 90 * DAY))
    expect(report.rotationOverdueSince).toBeUndefined()
    expect(report.findings.map(({ severity, code }) => [severity, code])).toEqual([
      ['warning', 'previous-key-unusable'],
      ['warning', 'key-expires-before-rotation'],
      ['warning', 'key-policy-expires-versions']
    ])
    for (const { code } of report.findings) expect(result.summary).toContain(`troubleshooting.md#${code}`)
    expect(result.outputs['next-rotation-due']).toBe(isoOf(current.created + 90 * DAY))
    expect(bed.azure.writes).toHaveLength(writes)

    // Without the permission nothing is said of the policy.
    bed.azure.disturb({
      url: /rotationpolicy$/,
      times: 9,
      reply: { status: 403, body: { error: { code: 'Forbidden', message: '' } } }
    })
    const unread = expectGreen(await bed.run('rotate', { 'max-key-age': '90d' }))
    expect(unread.findings.map(({ code }) => code)).not.toContain('key-policy-expires-versions')
    previous.enabled = true
    current.expires = undefined
    setRotationPolicy(undefined)
  })
})

describe('a key version in use that can’t be used any more', () => {
  const expire = async (): Promise<void> => {
    const current = await currentVersion()
    current.expires = epoch() - 5 * DAY
  }
  /** And the version before it, which AKS holds too, has expired. */
  const disable = async (): Promise<void> => {
    const current = await currentVersion()
    current.enabled = false
    current.notBefore = epoch() + DAY
    versionOf((await recordOf(bed))?.['previousKeyId'] ?? '').expires = epoch() - DAY
  }
  const remove = async (): Promise<void> => {
    const key = bed.vault.keys.get('etcd')
    if (key !== undefined) key.deleted = epoch() - DAY
  }

  /** So often, an API server is not ready after the repair for a while. */
  function keepUnready(times: number): () => void {
    let remove = (): void => undefined
    bed.azure.disturb({
      method: 'PATCH',
      url: /\/keys\/etcd\//,
      meanwhile() {
        const body = '[+]ping ok\n[-]kms-providers failed: reason withheld\nreadyz check failed\n'
        const when = ({ path }: { readonly path: string }): boolean => path === '/readyz'
        const unready = { kind: 'replaced', status: 500, headers: {}, body } as const
        ;({ remove } = bed.controlPlane.faults.inject(unready, { when, times }))
      }
    })
    return () => remove()
  }

  test.each([
    ['expired', /expired on/, expire],
    ['disabled and not valid yet', /is disabled since .* and is not valid before/, disable],
    ['deleted', /is deleted: .* can be recovered until/, remove]
  ])(
    '%s: refused with what is wrong; repaired where that is asked for, and rotated off',
    async (_name, words, harm) => {
      const before = await currentVersion()
      await harm()
      await bed.controlPlane.restart()
      expect((await bed.controlPlane.request('GET', '/readyz')).status).toBe(500)
      expect((await bed.controlPlane.request('GET', '/api/v1/secrets?limit=5')).status).toBe(500)

      const writes = bed.azure.writes.length
      const refused = expectRed(await bed.run('rotate', { 'max-key-age': '900d' }), 'current-key-unusable')
      expect(refused.sentence).toContain(before.id)
      expect(refused.sentence).toMatch(words)
      expect(bed.azure.writes).toHaveLength(writes)

      keepUnready(6)
      const report = expectGreen(await bed.run('rotate', { repair: 'true', 'max-key-age': '900d' }))
      expect([...new Set(report.steps.map(({ kind }) => kind))]).toEqual([
        'repair-key',
        'wait-for-api-servers',
        'create-key-version',
        'record-goal',
        'prove-secrets',
        'set-kms-profile'
      ])
      expect(before).toMatchObject({
        enabled: true,
        tags: { 'kms-etcd-encryption-repaired': expect.stringMatching(/^20/) }
      })
      expect(before.expires === undefined || before.expires > epoch() + 89 * DAY).toBe(true)
      const after = await currentVersion()
      expect(report.keys.map(({ keyId, state }) => [keyId, state]).slice(0, 2)).toEqual([
        [after.id, 'current'],
        [before.id, 'keep']
      ])
      expect(report.findings).toEqual([])
      await expectStored(bed, seeds, after.id)
    }
  )

  test('a dry run tells what would be done, and repairs nothing', async () => {
    await expire()
    await bed.controlPlane.restart()
    const writes = bed.azure.writes.length
    const report = expectGreen(await bed.run('rotate', { repair: 'true', 'dry-run': 'true' }))
    expect(report.plan?.steps.map(({ kind }) => kind).slice(0, 2)).toEqual(['repair-key', 'wait-for-api-servers'])
    expect(bed.azure.writes).toHaveLength(writes)
  })

  test('other operations warn of it, and do no harm', async () => {
    const red = expectRed(await bed.run('re-encrypt'), 'secrets-listing-failed')
    expect(red.findings.map(({ severity, code }) => [severity, code])).toContainEqual([
      'warning',
      'current-key-unusable'
    ])
    const writes = bed.azure.writes.length
    const refused = expectRed(await bed.run('disable'), 'current-key-unusable')
    expect(refused.findings.map(({ code }) => code)).toEqual(['current-key-unusable'])
    expect(bed.azure.writes).toHaveLength(writes)
  })

  test.each<[string, (kill: () => void) => Pick<RunOptions, 'onLine'>]>([
    [
      'while the key version is repaired',
      (kill) => {
        bed.azure.disturb({ method: 'PATCH', url: /\/keys\/etcd\//, meanwhile: kill })
        return {}
      }
    ],
    [
      'while the API servers are waited for',
      (kill) => {
        const remove = keepUnready(Infinity)
        return {
          onLine(line) {
            if (!line.includes('Not ready yet')) return
            kill()
            remove()
          }
        }
      }
    ]
  ])('interrupted %s, the next run goes on', async (_name, arrange) => {
    const before = await currentVersion()
    await expire()
    await bed.controlPlane.restart()
    const kill = new AbortController()
    const options = arrange(() => kill.abort())
    const { exitCode } = await bed.run('rotate', { repair: 'true' }, { kill: kill.signal, ...options })
    expect(exitCode).toBeNull()
    await bed.controlPlane.request('DELETE', LOCK)
    expectGreen(await bed.run('rotate', { repair: 'true', 'max-key-age': '900d' }))
    const after = await currentVersion()
    expect(after.id).not.toBe(before.id)
    await expectStored(bed, seeds, after.id)
  })

  test('where no API server answers, it is diagnosed at once, and mended all the same', async () => {
    await remove()
    const down = bed.controlPlane.faults.inject({ kind: 'reset', carriedOut: false }, { times: Infinity })
    expectRed(await bed.run('rotate'), 'current-key-unusable')
    expect(down.struck).toBe(0)
    bed.azure.disturb({ method: 'PATCH', url: /\/keys\/etcd\//, meanwhile: () => down.remove() })
    const report = expectGreen(await bed.run('rotate', { repair: 'true' }))
    expect(down.struck).toBeGreaterThan(0)
    expect(report.keys.map(({ state }) => state).slice(0, 3)).toEqual(['current', 'keep', 'may-be-retired'])
    await expectStored(bed, seeds, (await currentVersion()).id)
  })

  test('purged: refused, whatever was asked for, and nothing is touched', async () => {
    const key = bed.vault.keys.get('etcd')
    if (key === undefined) throw new Error('There is no key.')
    bed.vault.keys.delete('etcd')
    const writes = bed.azure.writes.length
    for (const inputs of [{}, { repair: 'true' }]) expectRed(await bed.run('rotate', inputs), 'current-key-lost')
    expect(bed.azure.writes).toHaveLength(writes)
    bed.vault.keys.set('etcd', key)
  })
})
