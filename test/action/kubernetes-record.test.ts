import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { RecordStore } from '../../src/kubernetes/record.ts'
import { EMPTY_RECORD, type ClusterRecord } from '../../src/model/goal.ts'
import { startEmbeddedCluster, type EmbeddedCluster } from '../fixtures/embedded-cluster.ts'

const PATH = '/api/v1/namespaces/kube-system/configmaps/kms-etcd-encryption'
const record: ClusterRecord = {
  ...EMPTY_RECORD,
  provedKeyId: 'https://v.vault.azure.net/keys/etcd/2',
  provedAt: '2026-01-01T00:00:00.000Z',
  goal: { operation: 'disable', kms: { enabled: false }, fromKeyId: undefined, kubernetesVersion: undefined }
}

let cluster: EmbeddedCluster
let lines: string[]
beforeEach(async () => {
  cluster = await startEmbeddedCluster()
  lines = []
})
afterEach(() => cluster.stop())

function store(namespace = 'kube-system', token = 'operator') {
  const api = cluster.api({ endpoint: cluster.endpointFor(token), connections: 1 })
  return new RecordStore(api, namespace, { info: (line) => lines.push(line) })
}

const configMap = async () => (await cluster.controlPlane.request('GET', PATH)).body

test('is empty where there is none, and reads as it was written', async () => {
  expect(await store().read()).toEqual({ record: EMPTY_RECORD, forbidden: false })
  expect(await store().write(record)).toEqual({ forbidden: false })
  expect(await store().read()).toEqual({ record, forbidden: false })
  expect(await store().write({ ...record, goal: undefined })).toEqual({ forbidden: false })
  expect((await store().read()).record.goal).toBeUndefined()
})

test('says in the cluster what it is, and keeps what others put beside it', async () => {
  await store().write(record)
  const labels = { team: 'platform' }
  await cluster.controlPlane.request(
    'PATCH',
    PATH,
    { metadata: { labels } },
    { 'content-type': 'application/merge-patch+json' }
  )
  await store().write(record)
  expect(await configMap()).toMatchObject({
    metadata: {
      labels: { team: 'platform', 'app.kubernetes.io/managed-by': 'aks-kms-etcd-encryption' },
      annotations: { 'kubernetes.io/description': expect.stringContaining('aks-kms-etcd-encryption') }
    },
    data: { schemaVersion: '1', provedKeyId: record.provedKeyId }
  })
})

test('is written although somebody writes it at the same time', async () => {
  await store().write(EMPTY_RECORD)
  cluster.controlPlane.faults.inject(
    {
      kind: 'meanwhile',
      does: () =>
        cluster.controlPlane.request(
          'PATCH',
          PATH,
          { metadata: { labels: { seen: 'yes' } }, data: { provedBy: 'me' } },
          { 'content-type': 'application/merge-patch+json' }
        )
    },
    { when: ({ verb, user }) => verb === 'update' && user.username === 'runner' }
  )
  await store().write(record)
  expect((await store().read()).record).toEqual(record)
  expect(await configMap()).toMatchObject({ metadata: { labels: { seen: 'yes' } } })
})

test('is written once although the answer to its creation was lost', async () => {
  cluster.controlPlane.faults.inject({ kind: 'reset', carriedOut: true }, { when: ({ verb }) => verb === 'create' })
  expect(await store().write(record)).toEqual({ forbidden: false })
  expect((await store().read()).record).toEqual(record)
})

test('that was garbled reads as empty, and the log says so', async () => {
  await store().write(record)
  const data = { schemaVersion: '7' }
  await cluster.controlPlane.request('PATCH', PATH, { data }, { 'content-type': 'application/merge-patch+json' })
  expect(await store().read()).toEqual({ record: EMPTY_RECORD, forbidden: false })
  expect(lines).toEqual([expect.stringContaining('schemaVersion')])
})

test('that may not be read or written is no failure', async () => {
  expect(await store('kube-system', 'nobody').read()).toEqual({ record: EMPTY_RECORD, forbidden: true })
  expect(await store('kube-system', 'nobody').write(record)).toEqual({ forbidden: true })
})

test('that may be read and not written', async () => {
  cluster.controlPlane.faults.denyByWebhook('kube-system')
  expect(await store().write(record)).toEqual({ forbidden: true })
})

test('in a namespace that is not there', async () => {
  await expect(store('nowhere').write(record)).rejects.toMatchObject({
    code: 'input-invalid',
    message: expect.stringContaining('nowhere')
  })
})
