import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { loadAll } from 'js-yaml'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, lockHolder } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 40, namespaces: 4 })
const MANIFEST = new URL('../../docs/kubernetes-rbac.yml', import.meta.url)

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly rules?: readonly { readonly resources?: readonly string[]; readonly nonResourceURLs?: readonly string[] }[]
}

let bed: Bed

beforeAll(async () => {
  bed = await startRealBed({ kms: true, timeScale: 0.001, secrets: seeds })
  // Entra lets the workflow in, and Kubernetes' own RBAC alone says what it may.
  const { permissions, application } = bed.azure
  permissions.revoke(application.objectId, 'Azure Kubernetes Service RBAC Cluster Admin', bed.cluster.id)
  permissions.grant(application.objectId, 'Azure Kubernetes Service Cluster User Role', bed.cluster.id)
})
afterAll(async () => {
  await bed.stop()
})

/** Applies the documented manifest as kubectl would, without the rules on some resources or paths. */
async function applyManifest(without: readonly string[] = []): Promise<void> {
  const text = (await readFile(MANIFEST, 'utf8')).replaceAll('PRINCIPAL_ID', bed.azure.application.objectId)
  for (const manifest of loadAll(text) as Manifest[]) {
    const rules = manifest.rules?.filter(({ resources = [], nonResourceURLs = [] }) => {
      return ![...resources, ...nonResourceURLs].some((target) => without.includes(target))
    })
    const scope = manifest.metadata.namespace === undefined ? '' : `namespaces/${manifest.metadata.namespace}/`
    const path = `/apis/rbac.authorization.k8s.io/v1/${scope}${manifest.kind.toLowerCase()}s`
    await bed.controlPlane.request('DELETE', `${path}/${manifest.metadata.name}`)
    const { status } = await bed.controlPlane.request('POST', path, { ...manifest, ...(rules && { rules }) })
    expect(status).toBe(201)
  }
}

test.each([
  ['anything', undefined, 'list namespaces, list secrets, patch secrets'],
  ['with Secrets', ['secrets'], 'list secrets, patch secrets'],
  ['with namespaces', ['namespaces'], 'list namespaces']
])('who may not do %s is refused, with the rights that lack, before anything is begun', async (_, without, rights) => {
  if (without !== undefined) await applyManifest(without)
  const report = expectRed(await bed.run('rotate'), 'secrets-forbidden')
  expect(report).toMatchObject({ result: 'refused', steps: [] })
  expect(report.error?.message).toMatch(new RegExp(`all namespaces: ${rights}\\.$`))
  expect(bed.azure.writes).toEqual([])
  expect(await lockHolder(bed)).toBeUndefined()
})

test('who may not take the lock is refused, with what to grant, before anything is changed', async () => {
  await applyManifest(['leases'])
  const report = expectRed(await bed.run('rotate'), 'lock-forbidden')
  expect(report.sentence).toMatch(/leases/)
  expect(bed.azure.writes).toEqual([])
})

test('who may not keep the record is warned, and the rotation is done', async () => {
  await applyManifest(['configmaps'])
  const result = await bed.run('rotate')
  const report = expectGreen(result)
  expect(report.findings.map(({ code }) => code)).toEqual(['record-forbidden'])
  expect(result.annotations).toContainEqual(expect.objectContaining({ level: 'warning' }))
  await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
})

test('the documented manifest is enough', async () => {
  await applyManifest()
  const report = expectGreen(await bed.run('rotate'))
  expect(report.findings).toEqual([])
  expect(report.proofs.at(-1)?.evidence).toMatchObject({ basis: 'metrics', live: 1, servers: [{ state: 'current' }] })
  await expectStored(bed, seeds, bed.keyIds()[2] ?? '')
})

test('who may not read /metrics has a proof by passes alone, and is told what to grant', async () => {
  await applyManifest(['/metrics'])
  const result = await bed.run('enable', { 'key-id': bed.keyIds()[2] ?? '' })
  expect(expectGreen(result).proofs.at(-1)?.evidence).toMatchObject({ basis: 'passes', reason: 'forbidden', live: 1 })
  expect(result.summary).toContain('**By passes alone:** `/metrics` may not be read (403)')
  expect(result.summary).toContain('permissions.md#evidence-per-api-server')
})
