import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectStored } from '../action/expectations.ts'
import { createRepository, REPOSITORY, type UserRepository, type WorkflowRun } from './act.ts'
import { expectGreen, expectRed, variablesOf } from './workflow-runs.ts'

const seeds = demoSecrets({ secrets: 12, namespaces: 2 })
const WORKFLOW = '.github/workflows/pr-gated-change.yml'
const BOT = 'github-actions[bot]'

describe('a change by pull request', () => {
  let bed: Bed
  let repository: UserRepository
  let branches = 0

  beforeAll(async () => {
    bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
    const permissions = { contents: 'read', issues: 'write', 'pull-requests': 'write' } as const
    repository = createRepository(bed, bed.githubApi.createToken({ login: BOT, permissions }))
    repository.setVariables({ ...variablesOf(bed), AZURE_CLIENT_ID_PLAN: addReader() })
    repository.commit({
      [WORKFLOW]: readFileSync('workflows/pr-gated-change.yml', 'utf8'),
      'clusters.yml': clusters(bed.keyIds()[0])
    })
  })
  afterAll(async () => {
    repository.remove()
    await bed.stop()
  })

  /** An application that may look at everything and change nothing, as docs/permissions.md has it for plans. */
  function addReader(): string {
    const { azure, github, cluster, vault } = bed
    const reader = azure.entra.addApplication({
      tenantId: azure.tenantId,
      federatedCredentials: [
        { issuer: github.issuer, subject: github.subject, audiences: [azure.cloud.assertionAudience] }
      ]
    })
    azure.permissions.grant(reader.objectId, 'Azure Kubernetes Service Cluster User Role', cluster.id)
    azure.permissions.grant(reader.objectId, 'Azure Kubernetes Service RBAC Reader', cluster.id)
    azure.permissions.grant(reader.objectId, 'Key Vault Reader', vault.id)
    azure.permissions.grant(reader.objectId, 'Reader', vault.id)
    return reader.applicationId
  }

  /** The bed's cluster with this key, and one that is nowhere: whoever looks at it fails. */
  function clusters(key = ''): string {
    const ids = `subscription-id: ${bed.azure.subscriptionId}\n    resource-group: ${bed.cluster.resourceGroup}`
    return `clusters:
  - name: prod
    ${ids}
    cluster-name: ${bed.cluster.name}
    key: ${key}
  - name: elsewhere
    ${ids}
    cluster-name: nowhere
    key: ${key.replace(/\/[^/]*$/, '')}
`
  }

  /** Opens a pull request with these files, on a branch of its own, and leaves that checked out. */
  function propose(files: Readonly<Record<string, string>>): { readonly number: number; readonly base: string } {
    const base = repository.git('rev-parse', 'main')
    repository.git('checkout', '--quiet', '-b', `change-${String(++branches)}`, 'main')
    const headSha = repository.commit(files)
    return { number: bed.githubApi.addPullRequest({ headSha }), base }
  }

  async function plan(number: number, base: string, from = { head: REPOSITORY, login: 'mona' }): Promise<WorkflowRun> {
    const pullRequest = {
      number,
      head: { sha: repository.git('rev-parse', 'HEAD'), repo: { full_name: from.head } },
      base: { sha: base, ref: 'main' },
      user: { login: from.login }
    }
    return await repository.run(WORKFLOW, { name: 'pull_request', payload: { number, pull_request: pullRequest } })
  }

  /** Merges what is checked out into the main branch, and runs what the push starts. */
  async function merge(number: number): Promise<WorkflowRun> {
    const branch = repository.git('branch', '--show-current')
    repository.git('checkout', '--quiet', 'main')
    const before = repository.git('rev-parse', 'HEAD')
    repository.git('merge', '--quiet', '--no-ff', '--message', 'Merge', branch)
    const after = repository.git('rev-parse', 'HEAD')
    bed.githubApi.mergePullRequest(number, after)
    return await repository.run(WORKFLOW, {
      name: 'push',
      payload: { ref: 'refs/heads/main', before, after, deleted: false }
    })
  }

  async function expectUntouched(attempt: () => Promise<WorkflowRun>): Promise<WorkflowRun> {
    const [writes, stored] = [bed.azure.writes.length, await bed.controlPlane.storedSecrets()]
    const run = await attempt()
    expect(bed.azure.writes).toHaveLength(writes)
    expect(await bed.controlPlane.storedSecrets()).toEqual(stored)
    return run
  }

  function plans(number: number): readonly string[] {
    return bed.githubApi.comments(number).map(({ body }) => body)
  }

  test('the plan is a comment, and merging it applies just that', async () => {
    const wanted = await bed.addKeyVersion()
    const { number, base } = propose({ 'clusters.yml': clusters(wanted) })

    const planned = expectGreen(await expectUntouched(() => plan(number, base)))
    expect([...planned.reports.keys()]).toEqual(['prod'])
    expect(planned.reports.get('prod')).toMatchObject({ operation: 'reconcile', dryRun: true, result: 'planned' })
    expect(plans(number)).toEqual([expect.stringContaining(planned.reports.get('prod')?.plan?.hash ?? '–')])
    expect(planned.jobs.has('Apply prod')).toBe(false)

    const applied = expectGreen(await merge(number))
    expect(applied.reports.get('prod')).toMatchObject({ result: 'done', changed: true, proved: true })
    expect(applied.reports.get('prod')?.plan?.hash).toBe(planned.reports.get('prod')?.plan?.hash)
    await expectStored(bed, seeds, wanted)
    expect(bed.githubApi.issues()).toEqual([])
  })

  test('a plan that is out of date is refused, with nothing touched; an issue says so', async () => {
    const [approved, other] = [await bed.addKeyVersion(), await bed.addKeyVersion()]
    const { number, base } = propose({ 'clusters.yml': clusters(approved) })
    expectGreen(await plan(number, base))
    const rotated = await bed.run('rotate', { 'key-id': other })
    expect(rotated.exitCode).toBe(0)

    const refused = expectRed(await expectUntouched(() => merge(number)))
    expect(refused.reports.get('prod')).toMatchObject({ result: 'refused', error: { code: 'plan-changed' } })
    await expectStored(bed, seeds, other)
    expect(bed.githubApi.issues()).toEqual([
      expect.objectContaining({ state: 'open', body: expect.stringContaining('plan-changed') })
    ])
  })

  test('what was merged without a plan is refused', async () => {
    const { number } = propose({ 'clusters.yml': clusters(bed.keyIds()[0]) })
    const refused = expectRed(await expectUntouched(() => merge(number)))
    expect(refused.reports.get('prod')).toMatchObject({ error: { code: 'plan-not-found' } })
  })

  test('a change of other files is green, and asks Azure for nothing', async () => {
    const { number, base } = propose({ 'README.md': '# Platform\n' })
    const requests = bed.azure.requests.length
    const run = expectGreen(await plan(number, base))
    expect([...run.jobs].filter(([, { result }]) => result === 'success').map(([name]) => name)).toEqual([
      'Changed clusters',
      'Result'
    ])
    expect(plans(number)).toEqual([])
    expect(bed.azure.requests).toHaveLength(requests)
  })

  test('a file that can’t be used is red, and says where', async () => {
    const { number, base } = propose({
      'clusters.yml': clusters(bed.keyIds()[0]).replace('name: elsewhere', 'name: prod')
    })
    const run = expectRed(await plan(number, base))
    expect(run.log).toContain('prod has the same name as prod')
    expect(run.jobs.get('Result')?.result).toBe('failure')
  })

  test.each([
    ['from a fork', { head: 'mona/platform', login: 'mona' }],
    ['by Dependabot', { head: REPOSITORY, login: 'dependabot[bot]' }]
  ])('a pull request %s is skipped with a notice', async (who, from) => {
    const { number, base } = propose({ 'clusters.yml': `${clusters(bed.keyIds()[1])}# ${who}\n` })
    const requests = bed.azure.requests.length
    const run = expectGreen(await plan(number, base, from))
    expect(run.log).toContain('::notice title=No plan::')
    expect([...run.jobs.values()].filter(({ result }) => result !== '')).toHaveLength(1)
    expect(bed.azure.requests).toHaveLength(requests)
    expect(plans(number)).toEqual([])
  })
})
