import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import type { RunResult } from '../../testbed/runner/run-action.ts'
import { canaryTraces, demoSecrets } from '../../testbed/seed.ts'
import { pullRequestEvent, pushEvent, reconcile } from './desired.ts'
import { expectGreen, expectRed, expectStored, readable, recordOf, LOCK } from './expectations.ts'

const SECRETS = 12
const seeds = demoSecrets({ secrets: SECRETS, namespaces: 3 })
const BOT = 'github-actions[bot]'

let bed: Bed<EmbeddedControlPlane>
/** As of a plan job, and of an apply job. */
let [writing, reading] = ['', '']

beforeAll(async () => {
  bed = await startEmbeddedBed({ timeScale: 0.001, kms: true, secrets: seeds })
  writing = bed.githubApi.createToken({ permissions: { contents: 'read', 'pull-requests': 'write' } })
  reading = bed.githubApi.createToken({ permissions: { contents: 'read', 'pull-requests': 'read' } })
})
afterAll(async () => {
  await bed.stop()
})

type Properties = Readonly<Record<string, unknown>>
type Head = Parameters<typeof pullRequestEvent>[1]

async function plan(properties: Properties, number: number, head: Head = {}, token = writing): Promise<RunResult> {
  const inputs = { 'dry-run': 'true', comment: 'true' }
  return await reconcile(bed, properties, inputs, { event: pullRequestEvent(number, head), token })
}

async function apply(
  properties: Properties,
  sha: string,
  more: Parameters<typeof reconcile>[3] = {}
): Promise<RunResult> {
  return await reconcile(
    bed,
    properties,
    { 'approved-plan': 'comment' },
    { event: pushEvent(sha), token: reading, ...more }
  )
}

let merges = 0
function merge(number: number): string {
  const sha = String(++merges).padStart(40, '0')
  bed.githubApi.mergePullRequest(number, sha)
  return sha
}

function ownComments(number: number) {
  return bed.githubApi.comments(number).filter(({ login }) => login === BOT)
}

/** Refused for this, with nothing changed in Azure or in the cluster. */
async function expectUntouched(attempt: () => Promise<RunResult>, code: Parameters<typeof expectRed>[1]) {
  const writes = bed.azure.writes.length
  const stored = await bed.controlPlane.storedSecrets()
  const result = await attempt()
  const report = expectRed(result, code)
  expect(bed.azure.writes).toHaveLength(writes)
  expect(await bed.controlPlane.storedSecrets()).toEqual(stored)
  return { report, result }
}

describe('a pull request that rotates the key', () => {
  let [number, sha, key] = [0, '', '']

  test('gets a comment with what will happen, and nothing is touched', async () => {
    key = await bed.addKeyVersion()
    number = bed.githubApi.addPullRequest()
    // The comment is on the second page.
    for (let i = 0; i < 105; i++) bed.githubApi.addComment(number, { login: 'mona', body: `Comment ${i}` })
    const writes = bed.azure.writes.length
    const result = await plan({ key }, number)
    expect(expectGreen(result)).toMatchObject({ result: 'planned', estimate: { secrets: SECRETS } })
    const [comment, ...others] = ownComments(number)
    expect(others).toEqual([])
    expect(comment?.body.split('\n')[0]).toBe(
      `<!-- kms-etcd-encryption:plan operation=reconcile cluster=${bed.cluster.id.toLowerCase()} -->`
    )
    for (const part of [
      '### 📝 Dry run: 4 steps to take. Nothing was changed.',
      'Set the cluster’s KMS profile:',
      `About ${String(SECRETS)} now. In 2 proofs each gets an empty patch`,
      'about 3 to 6 minutes',
      result.outputs['plan-hash'] ?? 'no hash',
      'Made of commit `feedfeedfe`'
    ]) {
      expect(comment?.body).toContain(part)
    }
    expect(result.outputs['comment-url']).toMatch(/pull\/\d+#issuecomment-\d+$/)
    expect(bed.azure.writes).toHaveLength(writes)
  })

  test('may be planned by an identity that may only read, with the same hash', async () => {
    const { permissions, application, identityOf } = bed.azure
    const { id } = identityOf(bed.cluster)
    const before = await plan({ key }, number)
    permissions.revoke(application.objectId, 'Managed Identity Operator', id)
    const result = await plan({ key }, number)
    permissions.grant(application.objectId, 'Managed Identity Operator', id)
    expect(expectGreen(result).findings).toMatchObject([
      {
        severity: 'note',
        code: 'identity-assign-forbidden',
        message: expect.stringMatching(/^This identity can’t carry/)
      }
    ])
    expect(result.outputs['plan-hash']).toBe(before.outputs['plan-hash'])
  })

  test('keeps the one comment when it is planned again', async () => {
    const [before] = ownComments(number)
    const result = await plan({ key, environment: 'production' }, number)
    expectGreen(result)
    expect(ownComments(number)).toEqual([{ ...before, body: expect.any(String), editor: BOT }])
  })

  test('neither comment nor log tells a secret', async () => {
    const result = await plan({ key }, number)
    const told = [
      readable(result.log),
      result.summary,
      result.report,
      ...ownComments(number).map(({ body }) => body)
    ].join('\n')
    const hidden = ownComments(number).map(({ body }) =>
      Buffer.from(/plan-data (\S+)/.exec(body)?.[1] ?? '', 'base64').toString()
    )
    expect(hidden[0]).toContain('"operation":"reconcile"')
    for (const trace of [writing, ...canaryTraces]) expect(told + hidden.join('')).not.toContain(trace)
  })

  test('is carried out as approved once it is merged', async () => {
    sha = merge(number)
    const report = expectGreen(await apply({ key }, sha))
    expect(report).toMatchObject({
      changed: true,
      proved: true,
      approval: { diff: [], url: expect.stringContaining(`/${number}#`) }
    })
    await expectStored(bed, seeds, key)
    expect(await recordOf(bed)).not.toHaveProperty('approvedPlan')
  })

  test('is green when its job is run again', async () => {
    expect(expectGreen(await apply({ key }, sha))).toMatchObject({ changed: false, steps: [] })
  })
})

describe('another plan than the approved one', () => {
  let [number, sha, key] = [0, '', '']

  test('is refused with the difference', async () => {
    key = await bed.addKeyVersion()
    const other = await bed.addKeyVersion()
    number = bed.githubApi.addPullRequest()
    expectGreen(await plan({ key }, number))
    sha = merge(number)
    expectGreen(await bed.run('rotate', { 'key-id': other }))
    const { report, result } = await expectUntouched(() => apply({ key }, sha), 'plan-changed')
    expect(report.sentence).toMatch(
      /^Approved in .+#issuecomment-\d+ was [0-9a-f]{12}…; now it would be [0-9a-f]{12}…\. Nothing was changed\.\nApproved: /
    )
    expect(report.sentence).toContain(`Now: KMS at the start: ${other.toLowerCase()} (Public)`)
    expect(result.summary).toMatch(
      /```diff\n(.*\n)*- Set the cluster’s KMS profile: .*\n\+ Set the cluster’s KMS profile: /
    )
    expect(result.outputs['plan-hash']).toBe(report.plan?.hash)
  })

  test('is refused by its hash alone, too; the right hash is carried out', async () => {
    const planned = await reconcile(bed, { key }, { 'dry-run': 'true' })
    const hash = planned.outputs['plan-hash'] ?? ''
    const wrong = { 'expected-plan-hash': 'a'.repeat(64) }
    await expectUntouched(() => reconcile(bed, { key }, wrong), 'plan-changed')
    expectGreen(await reconcile(bed, { key }, { 'expected-plan-hash': hash }))
    await expectStored(bed, seeds, key)
  })
})

describe('somebody changes the key while the approved plan', () => {
  /** Once, at the first request of the action that fits. */
  function changeKeyAt(fits: (verb: string, path: string) => boolean, keyId: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = bed.controlPlane.faults.observe(({ request }) => {
        if (request.user.groups.includes('system:masters') || !fits(request.verb, request.path)) return
        stop()
        bed.cluster.changeKms({ enabled: true, keyId, keyVaultNetworkAccess: 'Public' }).then(resolve, reject)
      })
    })
  }

  test.each<[string, (verb: string, path: string) => boolean]>([
    ['waits for the lock', (verb, path) => verb === 'create' && path.endsWith('/leases')],
    ['proves the Secrets', (verb) => verb === 'patch']
  ])('%s: nothing is changed on top of it', async (_, fits) => {
    const [key, other] = [await bed.addKeyVersion(), await bed.addKeyVersion()]
    const number = bed.githubApi.addPullRequest()
    expectGreen(await plan({ key }, number))
    const sha = merge(number)
    await bed.controlPlane.request('DELETE', LOCK)
    const writes = bed.azure.writes.length
    const changed = changeKeyAt(fits, other)
    const result = await apply({ key }, sha)
    await changed
    expectRed(result, 'plan-changed')
    expect(bed.azure.writes.slice(writes).map(({ path }) => path)).toEqual([])
    expect(JSON.stringify(bed.cluster.body)).toContain(other)
  })
})

test('an update whose answer is lost is the run’s own: the approved plan is carried on', async () => {
  const key = await bed.addKeyVersion()
  const number = bed.githubApi.addPullRequest()
  expectGreen(await plan({ key }, number))
  const sha = merge(number)
  bed.azure.disturb({ method: 'PUT', url: /managedClusters\/[^/]+$/, loseAnswer: true })
  expectGreen(await apply({ key }, sha))
  await expectStored(bed, seeds, key)
})

test('a plan that makes a key version has the same hash when it is carried out, and is finished under it after a kill', async () => {
  const [oldest = ''] = bed.keyIds()
  expectGreen(await bed.run('rotate', { 'key-id': oldest }))
  // All versions but the oldest are disabled: a new one has to be made.
  for (const version of bed.vault.versions('etcd').slice(1)) version.enabled = false
  const wanted = { key: oldest.replace(/\/[^/]+$/, ''), 'max-key-age': '90d' }
  const number = bed.githubApi.addPullRequest()
  const planned = expectGreen(await plan(wanted, number))
  expect(planned.plan?.steps[0]?.kind).toBe('create-key-version')
  const sha = merge(number)

  const kill = new AbortController()
  const killed = await apply(wanted, sha, {
    kill: kill.signal,
    onLine: (line) => {
      if (line.includes('Set the cluster’s KMS profile')) kill.abort()
    }
  })
  expect(killed.exitCode).toBeNull()
  expect(await recordOf(bed)).toMatchObject({ approvedPlan: planned.plan?.hash })
  // The lease of a lost run expires in a minute, which is not waited for here.
  await bed.controlPlane.request('DELETE', LOCK)
  const report = expectGreen(await apply(wanted, sha))
  expect(report.approval).toMatchObject({ hash: planned.plan?.hash, diff: [] })
  await expectStored(bed, seeds, bed.keyIds().at(-1) ?? '')
})

describe('comments that do not count', () => {
  test.each<[string, (number: number, key: string) => Promise<void>]>([
    ['none at all', async () => {}],
    [
      'somebody else’s with the right plan',
      async (number, key) => {
        const original = bed.githubApi.addPullRequest()
        expectGreen(await plan({ key }, original))
        bed.githubApi.addComment(number, { login: 'mallory', body: ownComments(original)[0]?.body ?? '' })
      }
    ],
    [
      'one that somebody else edited',
      async (number, key) => {
        expectGreen(await plan({ key }, number))
        const [own] = ownComments(number)
        bed.githubApi.editComment(own?.id ?? 0, { login: 'mallory', body: own?.body ?? '' })
      }
    ]
  ])('%s', async (_, comment) => {
    const key = await bed.addKeyVersion()
    const number = bed.githubApi.addPullRequest()
    await comment(number, key)
    const sha = merge(number)
    await expectUntouched(() => apply({ key }, sha), 'plan-not-found')
  })

  test('that of a pull request that was closed without being merged; once it is merged, it counts', async () => {
    const key = await bed.addKeyVersion()
    const number = bed.githubApi.addPullRequest()
    expectGreen(await plan({ key }, number))
    bed.githubApi.closePullRequest(number)
    const { report } = await expectUntouched(
      () => apply({ key }, '', { event: pullRequestEvent(number, { state: 'closed' }) }),
      'plan-not-found'
    )
    expect(report.sentence).toContain('closed without being merged')
    expectGreen(await apply({ key }, '', { event: pullRequestEvent(number, { state: 'closed', merged: true }) }))
  })

  test('a commit that came by no pull request has none', async () => {
    const sha = 'beef'.repeat(10)
    bed.githubApi.addCommit(sha)
    const key = await bed.addKeyVersion()
    const { report } = await expectUntouched(() => apply({ key }, sha), 'plan-not-found')
    expect(report.sentence).toContain('by no pull request')
  })
})

describe('a comment that can’t be written turns no plan red', () => {
  const says = ({ annotations }: RunResult) =>
    annotations
      .filter(({ title }) => title.startsWith('The plan is not on the pull request'))
      .map(({ level, message }) => `${level}: ${message}`)

  test.each<[string, Head, string]>([
    ['a fork’s', { head: 'mallory/platform' }, 'notice: GitHub refused to comment on'],
    ['Dependabot’s', { sender: 'dependabot[bot]' }, 'notice: GitHub refused to comment on'],
    ['a job’s without the permission', {}, 'warning: GitHub refused to comment on']
  ])('%s token may only read', async (_, head, expected) => {
    const number = bed.githubApi.addPullRequest()
    const result = await plan({ enabled: false }, number, head, reading)
    expect(expectGreen(result).result).toBe('planned')
    expect(says(result)).toEqual([expect.stringContaining(expected)])
    expect(result.outputs['comment-url']).toBe('')
  })

  test('GitHub is down for a moment, and for good', async () => {
    const number = bed.githubApi.addPullRequest()
    bed.githubApi.failNext(1, 'reset')
    const slowDown = {
      status: 403,
      headers: { 'retry-after': '1' },
      body: { message: 'You have exceeded a secondary rate limit' }
    }
    bed.githubApi.failNext(1, slowDown, ({ path }) => path === '/graphql')
    bed.githubApi.failNext(1, { status: 502, body: '<html>Unicorn</html>' }, ({ method }) => method === 'POST')
    expectGreen(await plan({ enabled: false }, number))
    expect(ownComments(number)).toHaveLength(1)
    bed.githubApi.failNext(4, { status: 503, body: { message: 'Service Unavailable' } })
    const result = await plan({ enabled: false }, number)
    expect(expectGreen(result).result).toBe('planned')
    expect(says(result)).toEqual([
      expect.stringMatching(/^warning: GitHub failed to tell whom .*Service Unavailable \(HTTP 503\)/)
    ])
  })

  test('a fork’s job gets no ID token: no plan, and that is said', async () => {
    const number = bed.githubApi.addPullRequest()
    const none = { ACTIONS_ID_TOKEN_REQUEST_URL: '', ACTIONS_ID_TOKEN_REQUEST_TOKEN: '' }
    const result = await reconcile(
      bed,
      { enabled: false },
      { 'dry-run': 'true', comment: 'true' },
      { event: pullRequestEvent(number, { head: 'mallory/platform' }), token: reading, env: none }
    )
    expectRed(result, 'oidc-unavailable')
    expect(says(result)).toEqual([expect.stringContaining('comes from a fork')])
  })

  test('there is no pull request', async () => {
    const result = await reconcile(bed, { enabled: false }, { 'dry-run': 'true', comment: 'true' }, { token: writing })
    expectGreen(result)
    expect(result.log).toContain('There is no pull request to comment on')
  })
})
