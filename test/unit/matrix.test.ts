import { describe, expect, test } from '@jest/globals'
import { parseDesiredState } from '../../src/desired-state.ts'
import { changedLegs, distribute, legsOfStatus, removed, type Leg } from '../../src/matrix-action/matrix.ts'

const SUBSCRIPTION = '00000000-0000-4000-8000-000000000000'

function legs(count: number): readonly Leg[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `c${String(i)}`,
    'subscription-id': SUBSCRIPTION,
    'resource-group': 'platform',
    'cluster-name': `c${String(i)}`,
    environment: ''
  }))
}

function names(matrix: { readonly include: readonly Leg[] } | undefined): readonly string[] | undefined {
  return matrix?.include.map(({ name }) => name)
}

describe('distribute', () => {
  test('the canary, then batches, in the order given', () => {
    const { canary, batches } = distribute(legs(6), 1, 2)
    expect(names(canary)).toEqual(['c0'])
    expect(batches.map(names)).toEqual([['c1', 'c2'], ['c3', 'c4'], ['c5']])
  })

  test.each([
    [0, 1, []],
    [1, 1, []],
    [3, 0, [3]],
    [257, 0, [256, 1]],
    [513, 1, [256, 256]]
  ])('%d legs, %d of them canaries', (count, canary, sizes) => {
    const distribution = distribute(legs(count), canary, 256)
    expect(distribution.canary.include).toHaveLength(Math.min(count, canary))
    expect(distribution.batches.map(({ include }) => include.length)).toEqual(sizes)
  })
})

describe('the clusters that `status` found', () => {
  const cluster = { name: 'a', 'subscription-id': SUBSCRIPTION, 'resource-group': 'g', 'cluster-name': 'a', due: true }

  test('become legs', () => {
    expect(legsOfStatus(JSON.stringify([cluster, { ...cluster, name: 'a@h', 'resource-group': 'h' }]))).toEqual([
      { name: 'a', 'subscription-id': SUBSCRIPTION, 'resource-group': 'g', 'cluster-name': 'a', environment: '' },
      { name: 'a@h', 'subscription-id': SUBSCRIPTION, 'resource-group': 'h', 'cluster-name': 'a', environment: '' }
    ])
    expect(legsOfStatus('[]')).toEqual([])
  })

  test.each([
    ['no JSON', '[{', 'JSON'],
    ['no array', '{}', 'no array'],
    ['no object', '["a"]', 'element 0 is no object'],
    [
      'a cluster without its group',
      JSON.stringify([{ ...cluster, 'resource-group': '' }]),
      'element 0 has no resource-group'
    ],
    ['a name twice', JSON.stringify([cluster, { ...cluster, name: 'A' }]), '“A” is there twice'],
    ['a name that is no file name', JSON.stringify([{ ...cluster, name: 'a/b' }]), '“a/b”']
  ])('%s is refused', (_, text, message) => {
    expect(() => legsOfStatus(text)).toThrow(message)
  })
})

describe('a desired state', () => {
  const entry = (name: string, more = ''): string => `
  - name: ${name}
    subscription-id: ${SUBSCRIPTION}
    resource-group: platform
    cluster-name: aks-${name}
    key: https://kv-platform.vault.azure.net/keys/etcd
    ${more}`
  const parse = (...entries: readonly string[]): ReturnType<typeof parseDesiredState> =>
    parseDesiredState(`clusters:${entries.join('')}`)

  test('all clusters become legs where there was none before', () => {
    expect(changedLegs(parse(entry('a', 'environment: prod'), entry('b')), undefined)).toEqual([
      {
        name: 'a',
        'subscription-id': SUBSCRIPTION,
        'resource-group': 'platform',
        'cluster-name': 'aks-a',
        environment: 'prod'
      },
      {
        name: 'b',
        'subscription-id': SUBSCRIPTION,
        'resource-group': 'platform',
        'cluster-name': 'aks-b',
        environment: ''
      }
    ])
  })

  test('else those that are new or differ', () => {
    const before = parse(entry('a'), entry('b'), entry('c'))
    const now = parse(entry('c', 'max-key-age: 90d'), entry('d'), entry('a', '# said otherwise\n    enabled: true'))
    expect(changedLegs(now, before).map(({ name }) => name)).toEqual(['c', 'd'])
    expect(changedLegs(now, now)).toEqual([])
    expect(removed(now, before)).toEqual(['b'])
    expect(removed(now, undefined)).toEqual([])
  })
})
