import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { load } from 'js-yaml'
import { NOT_PASSED_ON } from '../../scripts/operate-workflow.ts'
import { readPublicName } from '../../scripts/public-name.ts'
import { OPERATIONS } from '../../src/model/operation.ts'
import { CALLERS, EVERY, readWorkflow, REUSABLE, type Job, type Workflow } from './workflow-files.ts'

interface Action {
  readonly inputs: Readonly<Record<string, { readonly required?: boolean }>>
  readonly outputs?: Readonly<Record<string, unknown>>
}

function readAction(folder: string): Action {
  return load(readFileSync(join(folder, 'action.yml'), 'utf8')) as Action
}

/** Folder of the metadata of an action that this repository has or stands in for; undefined for others. */
function folderOf(uses: string): string | undefined {
  if (uses.startsWith('$/')) return uses === '$/' ? '.' : uses.slice(2)
  const standIn = join('test/workflows/stand-ins', uses.replace(/@.*/, ''))
  return existsSync(standIn) ? standIn : undefined
}

function steps(workflow: Workflow) {
  return Object.values(workflow.jobs).flatMap((job) => job.steps ?? [])
}

describe.each(EVERY)('%s', (path) => {
  const workflow = readWorkflow(path)

  test('gives its actions only inputs that they have, and reads only outputs that they have', () => {
    for (const { id, uses, with: given = {} } of steps(workflow)) {
      const folder = uses === undefined ? undefined : folderOf(uses)
      if (folder === undefined) continue
      const { inputs, outputs = {} } = readAction(folder)
      expect(Object.keys(inputs)).toEqual(expect.arrayContaining(Object.keys(given)))
      const required = Object.keys(inputs).filter((name) => inputs[name]?.required === true)
      expect(Object.keys(given)).toEqual(expect.arrayContaining(required))
      const read = [...JSON.stringify(workflow).matchAll(/steps\.([\w-]+)\.outputs\.([\w-]+)/g)]
      for (const [, step, output] of read) if (step === id) expect(Object.keys(outputs)).toContain(output)
    }
  })

  test('permits nothing by default, and each job only what it says', () => {
    expect(workflow.permissions).toEqual({})
    for (const job of Object.values(workflow.jobs)) expect(job.permissions).toBeDefined()
  })

  test('has a time limit for every job', () => {
    for (const { uses, 'timeout-minutes': limit } of Object.values(workflow.jobs)) {
      if (uses === undefined) expect(limit).toBeGreaterThan(0)
    }
  })
})

test('the same action is of the same commit everywhere', () => {
  const pins = new Map<string, Set<string>>()
  for (const path of EVERY) {
    for (const [, name = '', pin = ''] of readFileSync(path, 'utf8').matchAll(
      /uses: ([\w-]+\/[\w-]+)[\w/-]*@([0-9a-f]{40} # v\S+)$/gm
    )) {
      pins.set(name, (pins.get(name) ?? new Set()).add(pin))
    }
  }
  expect(pins.size).toBeGreaterThan(5)
  for (const [name, found] of pins) expect([name, found.size]).toEqual([name, 1])
})

describe.each(REUSABLE)('%s', (path) => {
  const text = readFileSync(path, 'utf8')

  test('runs the actions of its own commit, and no others but GitHub’s', () => {
    for (const { uses } of steps(readWorkflow(path))) {
      if (uses !== undefined) expect(uses).toMatch(/^(\$\/(report|matrix)?$|actions\/[\w-]+@[0-9a-f]{40}$)/)
    }
  })

  test('takes no secret', () => {
    expect(text).not.toMatch(/\bsecrets\.|^ *secrets:/m)
  })

  test('puts no expression into a script', () => {
    for (const { run } of steps(readWorkflow(path))) expect(run ?? '').not.toContain('${{')
  })

  test('describes every input and output', () => {
    const { inputs = {}, outputs = {} } = readWorkflow(path).on.workflow_call ?? {}
    for (const { description } of [...Object.values(inputs), ...Object.values(outputs)]) {
      expect(description).toMatch(/\.$/)
    }
  })
})

test('the reusable workflow for any operation passes every input of the action', () => {
  const given = readWorkflow('.github/workflows/operate.yml').jobs['operate']?.steps?.find(({ uses }) => uses === '$/')
  const all = Object.keys(readAction('.').inputs)
  expect([...Object.keys(given?.with ?? {}), ...NOT_PASSED_ON.filter((name) => all.includes(name))].sort()).toEqual(
    all.sort()
  )
})

test('the example to start by hand has every operation but the one that needs a file', () => {
  const { options = [] } = readWorkflow('workflows/manual.yml').on.workflow_dispatch?.inputs?.['operation'] ?? {}
  expect([...options, 'reconcile'].sort()).toEqual([...OPERATIONS].sort())
})

const LEVELS = ['none', 'read', 'write']

function most(jobs: readonly Job[]): Readonly<Record<string, string>> {
  const permissions: Record<string, string> = {}
  for (const [scope, level] of jobs.flatMap((job) => Object.entries(job.permissions ?? {}))) {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(permissions[scope] ?? 'none')) permissions[scope] = level
  }
  return permissions
}

describe.each(CALLERS)('%s', (path) => {
  const jobs = Object.values(readWorkflow(path).jobs)

  test('calls a workflow of this repository’s major version', () => {
    for (const { uses } of jobs) {
      const [, file = ''] = /^(.+)@v1$/.exec(uses ?? '') ?? []
      expect(REUSABLE.map((reusable) => `${readPublicName()}/${reusable}`)).toContain(file)
    }
  })

  test('permits what the jobs of the reusable workflow take, and nothing more', () => {
    for (const { uses = '', permissions } of jobs) {
      const called = readWorkflow(uses.replace(/^[^/]+\/[^/]+\//, '').replace(/@.*/, ''))
      expect(permissions).toEqual(most(Object.values(called.jobs)))
    }
  })

  test('takes ids from variables, and says which to fill in', () => {
    const text = readFileSync(path, 'utf8')
    const comment = text.slice(0, text.indexOf('\nname:'))
    const variables = new Set([...text.matchAll(/vars\.(\w+)/g)].map(([, name = '']) => name))
    expect(variables.size).toBeGreaterThan(2)
    for (const name of variables) expect(comment).toContain(name)
  })
})
