import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { desiredState, reconcile } from './desired.ts'
import { expectGreen, expectRed, expectStored, recordOf, LOCK } from './expectations.ts'

const SECRETS = 12
const seeds = demoSecrets({ secrets: SECRETS, namespaces: 3 })
let bed: Bed
let key: string

beforeAll(async () => {
  bed = await startEmbeddedBed({ timeScale: 0.001, secrets: seeds })
  key = (bed.keyIds()[0] ?? '').replace(/\/[^/]+$/, '')
})
afterAll(async () => {
  await bed.stop()
})

test('enables with the newest version of a key without one', async () => {
  const newest = await bed.addKeyVersion()
  const result = await reconcile(bed, { key })
  expect(expectGreen(result)).toMatchObject({ operation: 'reconcile', name: 'prod', changed: true, proved: true })
  await expectStored(bed, seeds, newest)
})

test('touches nothing where the cluster is as desired, and says when it is due', async () => {
  const writes = bed.azure.writes.length
  const result = await reconcile(bed, { key, 'max-key-age': '90d' })
  const report = expectGreen(result)
  expect(report).toMatchObject({ changed: false, proved: false, steps: [], proofs: [] })
  expect(report.sentence).toMatch(/Not due until/)
  expect(report.rotationDueAt?.slice(0, 10)).toBe(report.sentence.slice(14, 24))
  expect(report.after?.keyVersion?.createdAt).toMatch(/^\d{4}-/)
  expect(bed.azure.writes).toHaveLength(writes)
})

test('rotates to the version that is written down', async () => {
  const [first = ''] = bed.keyIds()
  const result = await reconcile(bed, { key: first })
  expect(expectGreen(result)).toMatchObject({ changed: true, proved: true })
  await expectStored(bed, seeds, first)
})

test('rotates when the version in use is too old', async () => {
  const [, newest = ''] = bed.keyIds()
  // The first version is 100 days old, and the second is newer.
  const result = await reconcile(bed, { key, 'max-key-age': '90d' })
  expect(expectGreen(result).sentence).toContain('The key is rotated')
  await expectStored(bed, seeds, newest)
})

test('changes the mode in which AKS reaches the vault, and goes to a newer version by the way', async () => {
  bed.azure.permissions.grant(bed.azure.application.objectId, 'Key Vault Contributor', bed.vault.id)
  const newer = await bed.addKeyVersion()
  const inPrivate = { key, 'key-vault-network-access': 'Private', 'key-vault-resource-id': bed.vault.id }
  const planned = expectGreen(await reconcile(bed, inPrivate, { 'dry-run': 'true' }))
  const kill = new AbortController()
  bed.azure.disturb({ method: 'PATCH', url: /vaults\/[^/]+$/, loseAnswer: true, meanwhile: () => kill.abort() })
  await reconcile(bed, inPrivate, { 'expected-plan-hash': planned.plan?.hash ?? '' }, { kill: kill.signal })
  await bed.controlPlane.request('DELETE', LOCK)
  await expectStored(bed, seeds, 'identity')

  const report = expectGreen(await reconcile(bed, inPrivate, { 'expected-plan-hash': planned.plan?.hash ?? '' }))
  expect(report).toMatchObject({
    changed: true,
    proved: true,
    after: { kms: { keyId: newer, networkAccess: 'Private' } }
  })
  expect(report.sentence).toMatch(/^Finished what was interrupted: AKS reaches the vault by a private endpoint/)
  await expectStored(bed, seeds, newer)

  expectGreen(await reconcile(bed, { key }))
  expect(bed.vault.properties['publicNetworkAccess']).toBe('Enabled')
  await expectStored(bed, seeds, newer)
})

test('disables, and the second time touches nothing', async () => {
  expectGreen(await reconcile(bed, { enabled: false }))
  await expectStored(bed, seeds, 'identity')
  expect(await recordOf(bed)).toMatchObject({ provedKeyId: 'identity' })
  const again = expectGreen(await reconcile(bed, { enabled: false }))
  expect([again.steps, again.sentence]).toEqual([[], 'The cluster is as desired: nothing was touched.'])
})

test('a file that can’t be used is refused before anything is asked', async () => {
  const requests = bed.azure.requests.length
  const wrong = { files: { 'clusters.yml': desiredState(bed, { keyId: key }) } }
  const report = expectRed(await reconcile(bed, {}, {}, wrong), 'desired-state-invalid')
  expect(report.sentence).toContain('clusters[0] (prod): keyId is no property')
  expectRed(await reconcile(bed, { key }, { cluster: 'test' }), 'desired-state-invalid')
  expectRed(await reconcile(bed, { key }, { 'desired-state': 'other.yml' }), 'desired-state-invalid')
  expect(bed.azure.requests).toHaveLength(requests)
})
