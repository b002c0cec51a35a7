import { expect, test } from '@jest/globals'

import { isNewer, readNames, readResourceVersion } from '../../src/kubernetes/table.ts'
import type { HttpAnswer } from '../../src/kubernetes/transport.ts'

const answer = (body: string): HttpAnswer => ({ status: 200, headers: {}, body: Buffer.from(body) })
const json = (value: unknown): HttpAnswer => answer(JSON.stringify(value))

const columnDefinitions = [
  { name: 'Name', type: 'string', format: 'name', description: 'Name must be unique', priority: 0 },
  { name: 'Type', type: 'string', format: '', description: 'Used to facilitate', priority: 0 }
]
const table = (metadata: object, rows: unknown) => ({
  kind: 'Table',
  apiVersion: 'meta.k8s.io/v1',
  metadata,
  columnDefinitions,
  rows
})

test('the names of a page, its resourceVersion and how it goes on', () => {
  const rows = [
    { cells: ['a', 'Opaque'], object: null },
    { cells: ['b', 'Opaque'], object: null }
  ]
  expect(readNames(json(table({ resourceVersion: '41', continue: 'next', remainingItemCount: 7 }, rows)))).toEqual({
    names: ['a', 'b'],
    resourceVersion: '41',
    continueToken: 'next',
    remaining: 7
  })
  expect(readNames(json(table({ resourceVersion: '41' }, [])))).toEqual({
    names: [],
    resourceVersion: '41',
    continueToken: '',
    remaining: 0
  })
  expect(readNames(json(table({ resourceVersion: '41' }, null)))).toMatchObject({ names: [] })
})

test('names are found by their column', () => {
  const swapped = {
    ...table({ resourceVersion: '7' }, [{ cells: ['Opaque', 'a'] }]),
    columnDefinitions: [...columnDefinitions].reverse()
  }
  expect(readNames(json(swapped))?.names).toEqual(['a'])
})

test.each([
  ['full objects', { kind: 'SecretList', metadata: { resourceVersion: '1' }, items: [] }],
  ['a list without resourceVersion', table({}, [])],
  ['resourceVersion 0, of which nothing can be newer or older', { ...table({ resourceVersion: 'x' }, []) }],
  ['rows without names', table({ resourceVersion: '1' }, [{ cells: [] }])],
  ['no column of names', { ...table({ resourceVersion: '1' }, [{ cells: ['a'] }]), columnDefinitions: [] }]
])('no page is read from %s', (_, body) => {
  expect(readNames(json(body))).toBeUndefined()
})

test('no page is read from what is not JSON', () => {
  expect(readNames(answer('<html>'))).toBeUndefined()
  expect(readNames(answer('[]'))).toBeUndefined()
})

test('the resourceVersion of a patched object, as kube-apiserver writes it and in any other order', () => {
  expect(readResourceVersion(json(table({ resourceVersion: '90071992547409931234' }, [])))).toBe('90071992547409931234')
  const other = {
    metadata: { annotations: { resourceVersion: '5' }, resourceVersion: '6' },
    apiVersion: 'meta.k8s.io/v1',
    kind: 'Table'
  }
  expect(readResourceVersion(json(other))).toBe('6')
})

test('no resourceVersion is read from anything else', () => {
  expect(readResourceVersion(json({ kind: 'Secret', metadata: { resourceVersion: '6' } }))).toBeUndefined()
  expect(readResourceVersion(json(table({}, [{ cells: ['{"resourceVersion":"6"}'] }])))).toBeUndefined()
  expect(readResourceVersion(answer(''))).toBeUndefined()
})

test('resource versions are compared as integers', () => {
  expect(isNewer('100', '99')).toBe(true)
  expect(isNewer('99', '100')).toBe(false)
  expect(isNewer('100', '100')).toBe(false)
  expect(isNewer('9007199254740993', '9007199254740992')).toBe(true)
})
