import { describe, expect, test } from '@jest/globals'
import { runAction, type RunResult } from '../../testbed/runner/run-action.ts'

async function matrix(
  inputs: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {}
): Promise<RunResult> {
  return await runAction({ action: 'matrix', inputs, files })
}

function clusters(...names: readonly string[]): string {
  return JSON.stringify(
    names.map((name) => ({ name, 'subscription-id': 's', 'resource-group': 'g', 'cluster-name': name }))
  )
}

function desiredState(...names: readonly string[]): string {
  return JSON.stringify({
    clusters: names.map((name) => ({
      name,
      'subscription-id': '00000000-0000-4000-8000-000000000000',
      'resource-group': 'platform',
      'cluster-name': name,
      enabled: false
    }))
  })
}

function namesIn(output = ''): readonly string[] {
  return (JSON.parse(output) as { readonly include: readonly { readonly name: string }[] }).include.map(
    ({ name }) => name
  )
}

describe('the action matrix', () => {
  test('makes canary and batches of what status found', async () => {
    const { exitCode, outputs, annotations } = await matrix({
      clusters: clusters('a', 'b', 'c', 'd', 'e'),
      canary: '1',
      'batch-size': '2',
      'max-batches': '1'
    })
    expect(exitCode).toBe(0)
    expect(outputs).toMatchObject({
      count: '3',
      names: '["a","b","c"]',
      'canary-count': '1',
      'batch-count': '1',
      'left-over': '2'
    })
    expect(namesIn(outputs['canary'])).toEqual(['a'])
    expect(namesIn(outputs['rest'])).toEqual(['b', 'c'])
    expect(annotations).toEqual([
      expect.objectContaining({ level: 'notice', message: expect.stringContaining('2 clusters') })
    ])
  })

  test('has no one matrix for more than 256', async () => {
    const { outputs } = await matrix({ clusters: clusters(...Array.from({ length: 257 }, (_, i) => `c${String(i)}`)) })
    expect(outputs).toMatchObject({ count: '257', matrix: '', rest: '', 'batch-count': '2', 'left-over': '0' })
  })

  test('takes the changed clusters of a file', async () => {
    const { outputs, annotations } = await matrix(
      { 'desired-state': 'clusters.yml', 'desired-state-before': 'before/clusters.yml' },
      { 'clusters.yml': desiredState('a', 'b'), 'before/clusters.yml': desiredState('b', 'c') }
    )
    expect(namesIn(outputs['matrix'])).toEqual(['a'])
    expect(annotations).toEqual([expect.objectContaining({ message: expect.stringContaining('c is no longer') })])
  })

  test('takes all where the file before is not there, or can’t be used', async () => {
    const inputs = { 'desired-state': 'clusters.yml', 'desired-state-before': 'before.yml' }
    const now = { 'clusters.yml': desiredState('a', 'b') }
    expect(namesIn((await matrix(inputs, now)).outputs['matrix'])).toEqual(['a', 'b'])
    const broken = await matrix(inputs, { ...now, 'before.yml': 'clusters: 1' })
    expect(namesIn(broken.outputs['matrix'])).toEqual(['a', 'b'])
    expect(broken.annotations).toEqual([expect.objectContaining({ level: 'warning' })])
  })

  test.each<[string, Readonly<Record<string, string>>, string]>([
    ['neither source', {}, 'input-invalid'],
    ['both sources', { clusters: '[]', 'desired-state': 'clusters.yml' }, 'input-invalid'],
    ['a file that is not there', { 'desired-state': 'nowhere.yml' }, 'input-invalid'],
    ['a file that can’t be used', { 'desired-state': 'clusters:\n  - 1' }, 'desired-state-invalid'],
    ['no JSON', { clusters: 'x' }, 'input-invalid'],
    ['too large a batch', { clusters: '[]', 'batch-size': '257' }, 'input-invalid'],
    ['no number', { clusters: '[]', canary: 'one' }, 'input-invalid']
  ])('%s is refused', async (_, inputs, code) => {
    const { exitCode, annotations, outputs } = await matrix(inputs)
    expect(exitCode).toBe(1)
    expect(annotations).toEqual([
      expect.objectContaining({ level: 'error', title: `matrix: ${code}`, message: expect.stringContaining('Fix: ') })
    ])
    expect(outputs).toEqual({})
  })
})
