import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectStored } from '../action/expectations.ts'
import { createRepository, type UserRepository } from './act.ts'
import { expectGreen, expectRed, variablesOf } from './workflow-runs.ts'

const seeds = demoSecrets({ secrets: 12, namespaces: 2 })
const WORKFLOW = '.github/workflows/scheduled-rotation.yml'
const ON_SCHEDULE = { name: 'schedule', payload: { schedule: '23 3 * * *' } } as const

// As a new user does it: an empty repository, the example copied as it is, five variables.
describe('scheduled rotation', () => {
  let bed: Bed
  let repository: UserRepository

  beforeAll(async () => {
    bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
    repository = createRepository(bed, bed.githubApi.createToken({ permissions: { issues: 'write' } }))
    repository.commit({ [WORKFLOW]: readFileSync('workflows/scheduled-rotation.yml', 'utf8') })
  })
  afterAll(async () => {
    repository.remove()
    await bed.stop()
  })

  test('without the variables filled in: says which input is missing, and touches nothing', async () => {
    const run = expectRed(await repository.run(WORKFLOW, ON_SCHEDULE))
    expect(run.jobs.get('Rotate')?.log).toContain('The input subscription-id is missing.')
    expect(bed.azure.requests).toEqual([])
  })

  test('due: the key is rotated, and every Secret proved', async () => {
    repository.setVariables(variablesOf(bed))
    const [first = ''] = bed.keyIds()
    const run = expectGreen(await repository.run(WORKFLOW, ON_SCHEDULE))
    const [, second = ''] = bed.keyIds()
    await expectStored(bed, seeds, second)
    expect([...run.artifacts]).toEqual([[`kms-report-${bed.cluster.name}`, ['report.json']]])
    expect(run.reports.get(bed.cluster.name)).toMatchObject({
      operation: 'rotate',
      result: 'done',
      changed: true,
      proved: true,
      before: { kms: { keyId: first } },
      after: { kms: { keyId: second } }
    })
    expect(bed.githubApi.issues()).toEqual([])
  })

  test('not due: nothing is touched', async () => {
    const [writes, stored] = [bed.azure.writes.length, await bed.controlPlane.storedSecrets()]
    const run = expectGreen(await repository.run(WORKFLOW, ON_SCHEDULE))
    expect(run.reports.get(bed.cluster.name)).toMatchObject({ result: 'done', changed: false })
    expect(run.jobs.get('Rotate')?.log).toContain('Not due until')
    expect(bed.azure.writes).toHaveLength(writes)
    expect(bed.keyIds()).toHaveLength(2)
    expect(await bed.controlPlane.storedSecrets()).toEqual(stored)
  })

  test('a cluster that can’t be rotated: an issue says why, once; it is closed when the cause is mended', async () => {
    bed.cluster.setPowerState('Stopped')
    for (let i = 0; i < 2; i++) {
      const run = expectRed(await repository.run(WORKFLOW, ON_SCHEDULE))
      expect(run.reports.get(bed.cluster.name)).toMatchObject({ result: 'refused' })
      expect(run.jobs.get('Report')?.result).toBe('failure')
    }
    const open = bed.githubApi.issues().filter(({ state }) => state === 'open')
    expect(open).toEqual([
      expect.objectContaining({
        title: `KMS etcd encryption: the rotation of ${bed.cluster.name} needs attention`,
        body: expect.stringContaining('cluster-stopped')
      })
    ])
    bed.cluster.setPowerState('Running')
    expectGreen(await repository.run(WORKFLOW, ON_SCHEDULE))
    expect(bed.githubApi.issues().filter(({ state }) => state === 'open')).toEqual([])
  })
})
