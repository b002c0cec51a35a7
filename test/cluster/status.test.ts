import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { ClusterStatus } from '../../src/model/cluster-status.ts'
import { startRealBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, lockHolder, recordOf } from '../action/expectations.ts'

const seeds = demoSecrets({ secrets: 20, namespaces: 2 })

let bed: Bed

beforeAll(async () => {
  bed = await startRealBed({ kms: true, timeScale: 0.001, secrets: seeds })
})
afterAll(async () => {
  await bed.stop()
})

async function look(inputs: Inputs = {}): Promise<ClusterStatus | undefined> {
  const [secrets, writes] = [await bed.controlPlane.storedSecrets(), bed.azure.writes.length]
  const report = expectGreen(await bed.run('status', { 'max-key-age': '90d', ...inputs }))
  expect(await bed.controlPlane.storedSecrets()).toEqual(secrets)
  expect(bed.azure.writes).toHaveLength(writes)
  return report.clusters?.[0]
}

test('before any run there is no record, and looking makes none', async () => {
  expect(await look()).toMatchObject({
    kms: 'v2',
    keyId: bed.keyIds()[0],
    key: { ageDays: 100 },
    due: true,
    overdue: true,
    record: {},
    findings: [{ code: 'never-proved' }, { code: 'rotation-overdue' }]
  })
  expect(await recordOf(bed)).toBeUndefined()
  expect(await lockHolder(bed)).toBeUndefined()
})

test('after a rotation the record tells which key version is proved, which one came before, and by which run', async () => {
  expectGreen(await bed.run('rotate', { 'max-key-age': '90d' }))
  const [first, second] = bed.keyIds()
  const status = await look()
  expect(status).toMatchObject({
    keyId: second,
    key: { ageDays: 0, newerVersions: 0 },
    due: false,
    record: { provedKeyId: second, previousKeyId: first, provedBy: expect.stringContaining('/actions/runs/') },
    result: 'ok',
    findings: []
  })
  expect(Date.now() - Date.parse(status?.record?.provedAt ?? '')).toBeLessThan(600_000)
})

test('with a right to get the record alone, by Kubernetes’ own RBAC', async () => {
  const { permissions, application } = bed.azure
  permissions.revoke(application.objectId, 'Azure Kubernetes Service RBAC Cluster Admin', bed.cluster.id)
  permissions.grant(application.objectId, 'Azure Kubernetes Service Cluster User Role', bed.cluster.id)
  // A token of the same second is the same, and the API server remembers for a second whose it was.
  await sleep(1_500)
  expect(await look()).toMatchObject({ result: 'warning', findings: [{ code: 'record-forbidden' }] })

  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system'
  const metadata = { name: 'kms-etcd-encryption-status', namespace: 'kube-system' }
  const rules = [{ apiGroups: [''], resources: ['configmaps'], resourceNames: ['kms-etcd-encryption'], verbs: ['get'] }]
  const apiGroup = 'rbac.authorization.k8s.io'
  await bed.controlPlane.request('POST', `${rbac}/roles`, {
    apiVersion: `${apiGroup}/v1`,
    kind: 'Role',
    metadata,
    rules
  })
  await bed.controlPlane.request('POST', `${rbac}/rolebindings`, {
    apiVersion: `${apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup, kind: 'Role', name: metadata.name },
    subjects: [{ apiGroup, kind: 'User', name: application.objectId }]
  })
  expect(await look()).toMatchObject({ result: 'ok', record: { provedKeyId: bed.keyIds()[1] } })
})
