import { expect, test } from '@jest/globals'

import { formatRecord, parseRecord } from '../../src/kubernetes/record.ts'
import { EMPTY_RECORD, type ClusterRecord } from '../../src/model/goal.ts'

const record: ClusterRecord = {
  provedKeyId: 'https://v.vault.azure.net/keys/etcd/2',
  previousKeyId: 'https://v.vault.azure.net/keys/etcd/1',
  provedAt: '2026-01-01T00:00:00.000Z',
  provedBy: 'https://github.com/o/r/actions/runs/1',
  goal: {
    operation: 'rotate',
    kms: {
      enabled: true,
      keyId: 'https://v.vault.azure.net/keys/etcd/3',
      networkAccess: 'Private',
      vaultResourceId: '/subscriptions/s'
    },
    fromKeyId: 'https://v.vault.azure.net/keys/etcd/2',
    kubernetesVersion: undefined
  },
  approvedPlan: 'a'.repeat(64)
}

test.each([
  ['a full record', record],
  ['an empty one', EMPTY_RECORD],
  [
    'one whose goal is to switch KMS off',
    {
      ...record,
      goal: { operation: 'disable', kms: { enabled: false }, fromKeyId: undefined, kubernetesVersion: '1.30' }
    }
  ],
  [
    'one with a second rotation to follow',
    { ...record, goal: { ...record.goal, retiring: 'https://v.vault.azure.net/keys/etcd/2' } }
  ],
  [
    'one with a public vault',
    {
      ...record,
      goal: { ...record.goal, kms: { enabled: true, keyId: 'k', networkAccess: 'Public', vaultResourceId: undefined } }
    }
  ]
] as [string, ClusterRecord][])('%s reads as it was written', (_, written) => {
  expect(parseRecord(formatRecord(written))).toEqual({ record: written, notes: [] })
})

test('is one text a line for kubectl', () => {
  expect(formatRecord({ ...record, goal: undefined, approvedPlan: undefined, previousKeyId: undefined })).toEqual({
    schemaVersion: '1',
    provedKeyId: record.provedKeyId,
    provedAt: record.provedAt,
    provedBy: record.provedBy
  })
})

test('no record and one without data are empty, and nothing to speak of', () => {
  expect(parseRecord({})).toEqual({ record: EMPTY_RECORD, notes: [] })
  expect(parseRecord(null)).toEqual({ record: EMPTY_RECORD, notes: [] })
})

test('a record of another schema is not used', () => {
  expect(parseRecord({ ...formatRecord(record), schemaVersion: '2' })).toEqual({
    record: EMPTY_RECORD,
    notes: [expect.stringContaining('schemaVersion')]
  })
})

test.each([
  'not JSON',
  '[]',
  '{"operation":"rotate"}',
  '{"operation":1,"kms":{"enabled":false}}',
  '{"operation":"rotate","kms":{"enabled":true}}',
  '{"operation":"rotate","kms":{"enabled":true,"keyId":"k","networkAccess":"Internal"}}',
  '{"operation":"rotate","kms":{"enabled":true,"keyId":"k","networkAccess":"Public","vaultResourceId":1}}',
  '{"operation":"rotate","kms":{"enabled":false},"fromKeyId":{}}',
  '{"operation":"rotate","kms":{"enabled":false},"retiring":true}',
  // By a later version of this action, which means something by it.
  '{"operation":"rotate","kms":{"enabled":false},"thenAlso":"x"}'
])('a goal that reads %s is left out, and the rest is kept', (goal) => {
  const { record: read, notes } = parseRecord({ ...formatRecord(record), goal })
  expect(read).toEqual({ ...record, goal: undefined })
  expect(notes).toHaveLength(1)
})

test('fields of another type are left out', () => {
  const data = { ...formatRecord({ ...record, goal: undefined }), provedAt: 'yesterday', provedKeyId: 7 }
  expect(parseRecord(data).record).toMatchObject({
    provedKeyId: undefined,
    provedAt: undefined,
    provedBy: record.provedBy
  })
})
