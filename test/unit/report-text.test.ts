import { expect, test } from '@jest/globals'
import {
  clip,
  clusterNames,
  formatDuration,
  formatMoment,
  formatNumber,
  formatTime,
  plural,
  shortHash,
  shortKey,
  shortVersion
} from '../../src/report/text.ts'
import { CLUSTER, OLD_KEY } from '../fixtures/reports.ts'

test.each([
  [0, '0 ms'],
  [640.4, '640 ms'],
  [999.6, '1.0 s'],
  [2_130, '2.1 s'],
  [9_949, '9.9 s'],
  [9_960, '10 s'],
  [59_499, '59 s'],
  [59_500, '1 m'],
  [100_000, '1 m 40 s'],
  [3_599_499, '59 m 59 s'],
  [3_599_500, '1 h'],
  [7_500_000, '2 h 5 m']
])('%d ms is %j', (ms, expected) => {
  expect(formatDuration(ms)).toBe(expected)
})

test('numbers have separators, and nouns agree with them', () => {
  expect(formatNumber(1_234_567)).toBe('1,234,567')
  expect(plural(1, 'Secret')).toBe('1 Secret')
  expect(plural(2_000, 'Secret')).toBe('2,000 Secrets')
  expect(plural(0, 'Secret')).toBe('0 Secrets')
})

test('a time is shown to the minute', () => {
  expect(formatTime('2026-11-22T03:17:04.120Z')).toBe('2026-11-22 03:17 UTC')
})

test('a moment is shown to the second on the same day, to the minute on another', () => {
  expect(formatMoment('2026-11-22T03:21:05.900Z', '2026-11-22T00:00:00Z')).toBe('03:21:05')
  expect(formatMoment('2026-11-21T23:59:59.900Z', '2026-11-22T00:00:00Z')).toBe('2026-11-21 23:59')
})

test('a hash is shown by its first digits', () => {
  expect(shortHash('sha256:3f2a91c07be94d5f')).toBe('3f2a91c0…')
  expect(shortHash('3f2a91c0')).toBe('3f2a91c0')
})

test('a clipped text is as long as allowed', () => {
  expect(clip('abcdef', 6)).toBe('abcdef')
  expect(clip('abcdefg', 6)).toBe('abcde…')
})

test('a key version is shown in short; anything else as it is', () => {
  expect(shortKey(OLD_KEY)).toBe('contoso-etcd-kv / etcd / 3f2a91…')
  expect(shortKey('https://kv.vault.azure.net/keys/etcd')).toBe('https://kv.vault.azure.net/keys/etcd')
  expect(shortKey('Public')).toBe('Public')
  expect(shortVersion(OLD_KEY)).toBe('3f2a91…')
  expect(shortVersion('Public')).toBe('Public')
})

test('the names of a cluster come from its ARM id', () => {
  expect(clusterNames(CLUSTER)).toEqual({ name: 'prod-westeurope', resourceGroup: 'rg-prod-weu' })
  expect(clusterNames(CLUSTER.replace('resourceGroups', 'resourcegroups')).resourceGroup).toBe('rg-prod-weu')
  expect(clusterNames('prod')).toEqual({ name: 'prod', resourceGroup: undefined, subscriptionId: undefined })
  expect(clusterNames('/subscriptions/s/resourceGroups/rg')).toEqual({ name: '', resourceGroup: 'rg' })
  expect(clusterNames('/subscriptions/s')).toEqual({ name: '', subscriptionId: 's' })
})
