import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { loadAll } from 'js-yaml'
import { startRealBed, type Bed } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored } from '../action/expectations.ts'

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

test('who may nothing in the cluster is refused, with what to grant, before anything is changed', async () => {
  const report = expectRed(await bed.run('rotate'), 'lock-forbidden')
  expect(report.sentence).toMatch(/leases/)
  expect(bed.azure.writes).toEqual([])
})

test('who may not touch Secrets is refused before the key is changed', async () => {
  await applyManifest(['secrets'])
  const result = await bed.run('rotate', { 'key-id': await bed.addKeyVersion() })
  expectRed(result, 'secrets-forbidden')
  expect(result.outputs).toMatchObject({ changed: 'false', proved: 'false' })
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
  // The goal of the second test is still in the record that the third one could not write.
  expect(expectGreen(await bed.run('rotate')).sentence).toMatch(/Finished the interrupted rotation/)
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
