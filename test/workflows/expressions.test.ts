import { describe, expect, test } from '@jest/globals'
import { distribute, type Leg, type Matrix } from '../../src/matrix-action/matrix.ts'
import { check, evaluate, expressionsIn, interpolate, isRun, type Contexts, type Status } from './evaluate.ts'
import { EVERY, readWorkflow, type Job, type Workflow } from './workflow-files.ts'

const ROTATE = readWorkflow('.github/workflows/rotate.yml')
const CHANGE = readWorkflow('.github/workflows/change.yml')
const OPERATE = readWorkflow('.github/workflows/operate.yml')
const FLEET = readWorkflow('.github/workflows/fleet.yml')

describe.each(EVERY)('%s', (path) => {
  const expressions = expressionsIn(readWorkflow(path))
  test('has only expressions that GitHub can read', () => {
    for (const expression of expressions) check(expression)
  })
})

test('an expression that GitHub can’t read is found', () => {
  expect(() => {
    check("inputs.a = 'b'")
  }).toThrow()
  expect(() => {
    check('input.a')
  }).toThrow()
})

function job(workflow: Workflow, name: string): Job {
  const found = workflow.jobs[name]
  if (found === undefined) throw new Error(`There is no job ${name}.`)
  return found
}

/** The inputs as a called workflow gets them: a default where the caller says nothing, by type. */
function inputs(workflow: Workflow, given: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const empty = { string: '', boolean: false, number: 0, choice: '' }
  return Object.fromEntries(
    Object.entries(workflow.on.workflow_call?.inputs ?? {}).map(([name, definition]) => [
      name,
      given[name] ?? definition.default ?? empty[definition.type]
    ])
  )
}

const AZURE = { 'subscription-id': 'S', 'resource-group': 'G', 'cluster-name': 'C' }
const LEG = { name: 'c', ...AZURE, environment: '' }
const GITHUB = { run_id: '7', event_name: 'push', repository: 'octo/platform' }

function groupOf(workflow: Workflow, name: string, contexts: Contexts): unknown {
  return interpolate(job(workflow, name).concurrency?.group, { github: GITHUB, ...contexts })
}

describe('runs on one cluster', () => {
  const group = groupOf(ROTATE, 'rotate', { inputs: inputs(ROTATE, AZURE) })

  test('wait for each other, whichever workflow they are of', () => {
    expect(group).toBe('kms-etcd-encryption-S-G-C')
    expect(groupOf(OPERATE, 'operate', { inputs: inputs(OPERATE, { ...AZURE, operation: 'disable' }) })).toBe(group)
    expect(groupOf(CHANGE, 'apply', { inputs: inputs(CHANGE), matrix: LEG })).toBe(group)
    for (const name of ['canary', 'batch-1', 'batch-2', 'batch-3', 'batch-4']) {
      expect(groupOf(FLEET, name, { inputs: inputs(FLEET), matrix: LEG })).toBe(group)
    }
  })

  test('are neither cut off nor dropped', () => {
    const changing: readonly (readonly [Workflow, string])[] = [
      [ROTATE, 'rotate'],
      [OPERATE, 'operate'],
      [CHANGE, 'apply'],
      ...['canary', 'batch-1', 'batch-2', 'batch-3', 'batch-4'].map((name) => [FLEET, name] as const)
    ]
    for (const [workflow, name] of changing) {
      expect(job(workflow, name).concurrency).toMatchObject({ 'cancel-in-progress': false, queue: 'max' })
    }
  })

  test('wait for nobody where they only look', () => {
    for (const given of [{ operation: 'status' }, { operation: 'rotate', 'dry-run': true }]) {
      expect(groupOf(OPERATE, 'operate', { inputs: inputs(OPERATE, { ...AZURE, ...given }) })).toBe(
        `${String(group)}-look-7`
      )
    }
  })
})

describe('the runner', () => {
  test.each([
    ['ubuntu-latest', 'ubuntu-latest'],
    ['["self-hosted", "aks"]', ['self-hosted', 'aks']]
  ])('%s', (runner, expected) => {
    for (const workflow of [ROTATE, CHANGE, OPERATE, FLEET]) {
      for (const one of Object.values(workflow.jobs)) {
        expect(interpolate(one['runs-on'], { inputs: inputs(workflow, { runner }) })).toEqual(expected)
      }
    }
  })
})

describe('rotate', () => {
  const report = job(ROTATE, 'report')
  const step = report.steps?.[1]
  const withInputs = (given: object): Contexts => ({ inputs: inputs(ROTATE, { ...AZURE, ...given }) })

  test('reports whatever became of the rotation', () => {
    expect(isRun(report.if, withInputs({}), { failed: true })).toBe(true)
    expect(isRun(report.if, withInputs({}), { cancelled: true })).toBe(true)
  })

  test('keeps an issue of its cluster, but not for plans', () => {
    expect(interpolate(step?.with?.['issue'], withInputs({}))).toBe(true)
    expect(interpolate(step?.with?.['issue'], withInputs({ 'dry-run': true }))).toBe(false)
    expect(interpolate(step?.with?.['issue'], withInputs({ issue: false }))).toBe(false)
    expect(interpolate(step?.with?.['issue-title'], withInputs({}))).toContain(' C ')
    expect(interpolate(step?.with?.['expected'], withInputs({}))).toBe('["C"]')
  })
})

describe('change', () => {
  const own = { full_name: 'octo/platform' }
  const pullRequest = (head: object, login = 'mona'): object => ({
    ...GITHUB,
    event_name: 'pull_request',
    event: { pull_request: { head: { repo: head }, user: { login }, base: { sha: 'base' }, number: 12 } }
  })
  const push = { ...GITHUB, event: { before: 'parent' } }
  const needs = (count: string): object => ({ clusters: { result: 'success', outputs: { count } } })
  const runs = (github: object, count = '2'): readonly string[] =>
    Object.entries(CHANGE.jobs).flatMap(([name, one]) =>
      isRun(one.if, { github, inputs: inputs(CHANGE), needs: needs(count) }) ? [name] : []
    )

  test('plans on a pull request', () => {
    expect(runs(pullRequest(own))).toEqual(['clusters', 'plan', 'result'])
  })

  test('applies on a push', () => {
    expect(runs(push)).toEqual(['clusters', 'apply', 'result'])
  })

  test('does nothing where no cluster is changed', () => {
    expect(runs(pullRequest(own), '0')).toEqual(['clusters', 'result'])
    expect(runs(push, '0')).toEqual(['clusters', 'result'])
  })

  test('skips pull requests that get no ID token, and says so', () => {
    const skipped = [pullRequest({ full_name: 'fork/platform' }), pullRequest(own, 'dependabot[bot]'), pullRequest({})]
    for (const github of skipped) {
      const needs = { clusters: { result: 'skipped', outputs: {} } }
      const names = Object.entries(CHANGE.jobs).flatMap(([name, { if: condition }]) =>
        isRun(condition, { github, inputs: inputs(CHANGE), needs }, needsStatus(name)) ? [name] : []
      )
      expect(names).toEqual(['skipped'])
    }
    function needsStatus(name: string): Status {
      return CHANGE.jobs[name]?.needs === undefined ? {} : { skipped: true }
    }
  })

  test('reports a failure to find the clusters', () => {
    const contexts = { github: push, inputs: inputs(CHANGE), needs: { clusters: { result: 'failure', outputs: {} } } }
    expect(isRun(job(CHANGE, 'result').if, contexts, { failed: true })).toBe(true)
    expect(interpolate(job(CHANGE, 'result').steps?.[1]?.with?.['expected'], contexts)).toBe('["the list of clusters"]')
  })

  test('compares with the commit before', () => {
    const before = job(CHANGE, 'clusters').steps?.[1]
    expect(interpolate(before?.with?.['ref'], { github: pullRequest(own) })).toBe('base')
    expect(interpolate(before?.with?.['ref'], { github: push })).toBe('parent')
    expect(isRun(before?.if, { github: push })).toBe(true)
    expect(isRun(before?.if, { github: { ...push, event: { before: '0'.repeat(40) } } })).toBe(false)
  })

  test('signs in for plans as one that may only read, where there is one', () => {
    const clientId = (given: object): unknown =>
      interpolate(job(CHANGE, 'plan').steps?.[1]?.with?.['client-id'], {
        inputs: inputs(CHANGE, { 'client-id': 'all', ...given })
      })
    expect(clientId({ 'plan-client-id': 'reader' })).toBe('reader')
    expect(clientId({})).toBe('all')
  })

  test('applies in the environment of the cluster, else in that of all', () => {
    const environment = (matrix: object): unknown =>
      interpolate(job(CHANGE, 'apply').environment, { inputs: inputs(CHANGE, { environment: 'all' }), matrix })
    expect(environment({ ...LEG, environment: 'prod' })).toBe('prod')
    expect(environment(LEG)).toBe('all')
  })
})

interface Plan {
  readonly canary?: number
  readonly size?: number
  /** How jobs end, by name; `success` unless told. */
  readonly results?: Readonly<Record<string, string>>
}

describe('fleet', () => {
  const legs = (count: number): readonly Leg[] =>
    Array.from({ length: count }, (_, i) => ({ ...LEG, name: `c${String(i)}` }))

  /** Runs the jobs in their order, each with the result that is given, and gives out which matrix each job ran. */
  function play(due: number, plan: Plan = {}): Readonly<Record<string, number>> {
    const { canary = 1, size = 256, results = {} } = plan
    const distribution = distribute(legs(due), canary, size)
    const batches = distribution.batches.slice(0, 4)
    const ran: Record<string, number> = {}
    const needs: Record<string, { readonly result: string; readonly outputs: object }> = {}
    for (const [name, one] of Object.entries(FLEET.jobs)) {
      const needed = [one.needs ?? []].flat().map((need) => needs[need]?.result ?? '')
      const status = {
        failed: needed.includes('failure'),
        skipped: needed.includes('skipped'),
        cancelled: results[name] === 'cancelled'
      }
      const contexts = { needs, inputs: inputs(FLEET, { canary, 'batch-size': size }), github: GITHUB }
      if (!isRun(one.if, contexts, status)) {
        needs[name] = { result: 'skipped', outputs: {} }
        continue
      }
      const matrix = one.strategy && (interpolate(one.strategy.matrix, contexts) as Matrix)
      ran[name] = matrix?.include.length ?? 1
      const result = results[name] ?? 'success'
      const outputs = {
        canary: JSON.stringify(distribution.canary),
        'canary-count': String(distribution.canary.include.length),
        batches: JSON.stringify(batches),
        'batch-count': String(batches.length)
      }
      needs[name] = { result, outputs: name === 'inventory' && result === 'success' ? outputs : {} }
    }
    return ran
  }

  test('canary first, then the others', () => {
    expect(play(5)).toEqual({ inventory: 1, canary: 1, 'batch-1': 4, report: 1 })
    expect(play(5, { canary: 2 })).toEqual({ inventory: 1, canary: 2, 'batch-1': 3, report: 1 })
  })

  test('no other starts when a canary was not proved', () => {
    expect(play(5, { results: { canary: 'failure' } })).toEqual({ inventory: 1, canary: 1, report: 1 })
  })

  test('without canaries all start at once', () => {
    expect(play(5, { canary: 0 })).toEqual({ inventory: 1, 'batch-1': 5, report: 1 })
  })

  test('only canaries', () => {
    expect(play(2, { canary: 3 })).toEqual({ inventory: 1, canary: 2, report: 1 })
  })

  test('nothing is due', () => {
    expect(play(0)).toEqual({ inventory: 1, report: 1 })
  })

  test('a batch that fails holds up no other', () => {
    expect(play(5, { size: 1, results: { 'batch-1': 'failure', 'batch-3': 'failure' } })).toEqual({
      ...{ inventory: 1, canary: 1, 'batch-1': 1, 'batch-2': 1, 'batch-3': 1, 'batch-4': 1, report: 1 }
    })
  })

  test('1,500 clusters are more than four matrices take', () => {
    expect(play(1500)).toEqual({
      ...{ inventory: 1, canary: 1, 'batch-1': 256, 'batch-2': 256, 'batch-3': 256, 'batch-4': 256, report: 1 }
    })
  })

  test('an inventory that fails is reported', () => {
    expect(play(5, { results: { inventory: 'failure' } })).toEqual({ inventory: 1, report: 1 })
    const expected = job(FLEET, 'report').steps?.[1]?.with?.['expected']
    expect(interpolate(expected, { needs: { inventory: { outputs: {} } } })).toBe('["inventory"]')
  })

  test('the other legs of a matrix go on when one fails', () => {
    for (const { strategy } of Object.values(FLEET.jobs)) {
      if (strategy !== undefined) expect(strategy['fail-fast']).toBe(false)
    }
  })
})

test('the caller of the fleet only shows plans when it is started by hand, unless told otherwise', () => {
  const dryRun = job(readWorkflow('workflows/fleet-rotation.yml'), 'fleet').with?.['dry-run']
  expect(interpolate(dryRun, { inputs: {} })).toBe(false)
  expect(interpolate(dryRun, { inputs: { 'dry-run': true } })).toBe(true)
  expect(evaluate('always()')).toBe(true)
})
