import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import type { ManagedCluster } from '../../testbed/azure/managed-clusters.ts'
import { epoch } from '../../testbed/azure/key-versions.ts'
import { startEmbeddedControlPlane, type EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectStored } from '../action/expectations.ts'
import { createRepository, type UserRepository } from './act.ts'
import { expectGreen, expectRed, variablesOf } from './workflow-runs.ts'

const DAY = 86_400
const seeds = demoSecrets({ secrets: 12, namespaces: 2 })
const WORKFLOW = '.github/workflows/fleet-rotation.yml'
const ON_SCHEDULE = { name: 'schedule', payload: { schedule: '41 2 * * *' } } as const

describe('a fleet of five clusters that are due, and one that is not', () => {
  let bed: Bed
  let repository: UserRepository
  const members = new Map<string, { readonly cluster: ManagedCluster; readonly controlPlane: EmbeddedControlPlane }>()

  /** A cluster under a key of its own, which is that old. */
  async function add(name: string, ageDays: number): Promise<void> {
    const key = await bed.vault.addKey(name, { created: epoch() - ageDays * DAY })
    const cluster = bed.azure.addCluster({
      name,
      kms: { enabled: true, keyId: key.id, keyVaultNetworkAccess: 'Public' }
    })
    bed.azure.permitOperator(cluster, bed.vault)
    bed.azure.permitKms(cluster, bed.vault)
    const controlPlane = await startEmbeddedControlPlane({
      keyOperations: cluster.keyOperations,
      authenticateToken: (token) => cluster.authenticateToken(token),
      kmsV1: false,
      encryption: cluster.encryption
    })
    cluster.attach(controlPlane)
    await controlPlane.seed(seeds)
    members.set(name, { cluster, controlPlane })
  }

  function newestKeyOf(name: string): string {
    return bed.vault.versions(name).at(-1)?.id ?? ''
  }

  /** All Secrets of the cluster are under the newest version of its key, and there are so many. */
  async function expectRotated(name: string, versions: number): Promise<void> {
    const member = members.get(name)
    if (member === undefined) throw new Error(`There is no cluster ${name}.`)
    const ids = bed.vault.versions(name).map(({ id }) => id)
    expect(ids).toHaveLength(versions)
    await expectStored({ ...bed, controlPlane: member.controlPlane, keyIds: () => ids }, seeds, newestKeyOf(name))
  }

  beforeAll(async () => {
    // The bed's own cluster has no KMS, and so is never due.
    bed = await startEmbeddedBed({ timeScale: 0.001 })
    const { permissions, application, subscriptionId } = bed.azure
    permissions.grant(application.objectId, 'Reader', `/subscriptions/${subscriptionId}`)
    for (const [name, age] of [
      ['oldest', 200],
      ['broken', 150],
      ['third', 130],
      ['fourth', 120],
      ['fifth', 110],
      ['young', 5]
    ] as const) {
      await add(name, age)
    }
    const token = bed.githubApi.createToken({ permissions: { issues: 'write' } })
    repository = createRepository(bed, token)
    repository.setVariables(variablesOf(bed))
    const example = readFileSync('workflows/fleet-rotation.yml', 'utf8')
    repository.commit({ [WORKFLOW]: example.replace('canary: 1\n', 'canary: 1\n      batch-size: 2\n') })
  })
  afterAll(async () => {
    repository.remove()
    for (const { controlPlane } of members.values()) await controlPlane.stop()
    await bed.stop()
  })

  test('a canary that fails holds up all others, and the report says so', async () => {
    members.get('oldest')?.cluster.setProvisioningState('Failed')
    const run = expectRed(await repository.run(WORKFLOW, ON_SCHEDULE))
    expect([...run.reports.keys()]).toEqual(['oldest'])
    for (const name of ['broken', 'third', 'fourth', 'fifth']) expect(bed.vault.versions(name)).toHaveLength(1)
    const [issue, ...others] = bed.githubApi.issues()
    expect(others).toEqual([])
    expect(issue).toMatchObject({ state: 'open', body: expect.stringContaining('cluster-failed') })
    members.get('oldest')?.cluster.setProvisioningState('Succeeded')
  })

  test('one cluster fails: the other four end proved, and the report says which and why', async () => {
    const broken = members.get('broken')?.cluster
    bed.azure.disturb({
      method: 'PUT',
      url: /managedClusters\/broken$/,
      times: 1,
      reply: { status: 400, body: { error: { code: 'BadRequest', message: 'Something is wrong with broken.' } } }
    })
    const run = expectRed(await repository.run(WORKFLOW, ON_SCHEDULE))

    expect(Object.fromEntries([...run.reports].map(([name, { result, proved }]) => [name, [result, proved]]))).toEqual({
      oldest: ['done', true],
      broken: ['failed', false],
      third: ['done', true],
      fourth: ['done', true],
      fifth: ['done', true]
    })
    for (const name of ['oldest', 'third', 'fourth', 'fifth']) await expectRotated(name, 2)
    expect(bed.vault.versions('young')).toHaveLength(1)
    expect(broken?.body).toBeDefined()

    const [issue] = bed.githubApi.issues()
    expect(issue).toMatchObject({ state: 'open', body: expect.stringContaining('Something is wrong with broken.') })
    expect(issue?.body).toMatch(/1 of 5 clusters failed/)
    expect(run.log).toContain('1 of 5 clusters failed')
  })

  test('the next run finishes what is left, and closes the issue', async () => {
    const run = expectGreen(await repository.run(WORKFLOW, ON_SCHEDULE))
    expect([...run.reports.keys()]).toEqual(['broken'])
    await expectRotated('broken', 2)
    expect(bed.githubApi.issues()).toEqual([expect.objectContaining({ state: 'closed' })])
  })

  test('nothing is due: nothing is touched', async () => {
    const writes = bed.azure.writes.length
    const run = expectGreen(await repository.run(WORKFLOW, ON_SCHEDULE))
    expect(run.reports.size).toBe(0)
    expect(bed.azure.writes).toHaveLength(writes)
  })
})
