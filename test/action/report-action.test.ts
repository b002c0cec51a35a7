import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { RunReport } from '../../src/model/report.ts'
import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import { startGitHubApi, type GitHubApi } from '../../testbed/github/rest-api.ts'
import { startNetwork, type Network } from '../../testbed/network.ts'
import { runAction, type RunOptions, type RunResult } from '../../testbed/runner/run-action.ts'
import { failedLeg, filesOf, legReport, NOW, rotatedLeg } from '../fixtures/fleet.ts'

let network: Network
let github: GitHubApi
let token = ''

beforeAll(async () => {
  network = await startNetwork({ certificateAuthority: await createCertificateAuthority() })
  github = startGitHubApi(network)
  token = github.createToken({ permissions: { issues: 'write' } })
})
afterAll(async () => {
  await network.close()
})

/** The fixtures' reports are of a day in the past: as if they were written now. */
function today(report: RunReport): RunReport {
  const shift = Date.now() - NOW
  return JSON.parse(JSON.stringify(report), (_, value: unknown) =>
    typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)
      ? new Date(Date.parse(value) + shift).toISOString()
      : value
  ) as RunReport
}

async function report(
  reports: readonly RunReport[],
  inputs: Readonly<Record<string, string>> = {},
  more: Omit<RunOptions, 'inputs'> = {}
): Promise<RunResult> {
  const files = { ...filesOf(reports.map(today)), ...more.files }
  return await runAction({
    action: 'report',
    token,
    env: { ...network.environment, ...github.environment },
    ...more,
    files,
    inputs
  })
}

const five = [rotatedLeg('a', 95), rotatedLeg('b', 91), failedLeg('c'), legReport('d', 12), legReport('e', 30)]
const green = [rotatedLeg('a', 95), legReport('b', 2), legReport('c', 3)]

test('five clusters, of which one failed, are told of in one summary, red', async () => {
  const result = await report(five, { expected: '["a","b","c","d","e"]' })
  expect(result.exitCode).toBe(1)
  expect(result.outputs).toMatchObject({ result: 'failure', failed: '1', 'failed-names': '["c"]', 'issue-url': '' })
  expect(result.summary).toMatch(/^### ❌ 1 of 5 clusters failed\./)
  expect(result.summary).toContain('```mermaid')
  expect(result.annotations).toEqual([
    { level: 'error', title: 'c: secrets-failed', message: expect.stringContaining('could not be re-encrypted') }
  ])
  expect(github.requests).toEqual([])
})

test('those that never reported, and those long overdue, count as failed; `fail: false` stays green', async () => {
  const result = await report([legReport('a', 100), legReport('b', 1)], { expected: '["a","b","lost"]', fail: 'false' })
  expect([result.exitCode, result.outputs['failed-names']]).toEqual([0, '["a","lost"]'])
  expect(result.summary).toContain('⏰ overdue')
  expect(result.summary).toContain('Its rotation is 10 days overdue.')
})

test('the greatest age may come from the input; reports may lie flat, and one may be cut off', async () => {
  const aged = legReport('a', 40, { rotationDueAt: undefined })
  const cut = { files: { 'reports/kms-report-z/report.json': '{"schemaVersion":1,' } }
  const result = await report([aged], { 'max-key-age': '30d' }, cut)
  expect(result.outputs['failed-names']).toBe('["a","z"]')
  const flat = await runAction({
    action: 'report',
    inputs: {},
    files: { 'reports/report.json': filesOf([today(legReport('a', 1))])['reports/kms-report-a/report.json'] ?? '' }
  })
  expect([flat.exitCode, flat.outputs['failed']]).toEqual([0, '0'])
})

test('nothing to do is green, no report at all is not', async () => {
  expect((await report([], { expected: '[]' })).exitCode).toBe(0)
  const none = await report([])
  expect([none.exitCode, none.annotations[0]?.message]).toEqual([1, expect.stringContaining('input-invalid')])
  expect((await report(green, { expected: 'a,b' })).annotations[0]?.message).toContain('must be a JSON array of names')
})

describe('the issue', () => {
  const wish = { issue: 'true', 'issue-labels': 'kms, on-call' }

  test('is opened with the first failure', async () => {
    const result = await report(five, wish)
    expect(github.issues()).toEqual([
      {
        number: 1,
        title: 'KMS etcd encryption needs attention',
        body: expect.stringContaining('### ❌ 1 of 5 clusters failed.'),
        state: 'open',
        labels: ['kms', 'on-call'],
        login: 'github-actions[bot]'
      }
    ])
    expect(result.outputs['issue-url']).toBe('https://github.com/octo-org/platform/issues/1')
    expect(result.log).not.toContain(token)
  })

  test('is brought up to date by the next, which tells of what newly failed', async () => {
    await report(five, wish)
    expect(github.comments(1)).toEqual([])
    await report([...five, failedLeg('f')], wish)
    expect(github.issues()).toMatchObject([{ body: expect.stringContaining('2 of 6 clusters failed.'), state: 'open' }])
    expect(github.comments(1)).toMatchObject([{ body: expect.stringContaining('Failed since the last run: `f`.') }])
  })

  test('of another title, of somebody else, and pull requests are let alone; it is closed when nothing failed', async () => {
    const forged = github.issues()[0]?.body ?? ''
    const others = [github.addIssue({ title: 'KMS', body: forged, login: 'mallory' }), github.addPullRequest()]
    await report(five, { ...wish, 'issue-title': 'The test fleet' })
    const result = await report(green, wish)
    expect(result.exitCode).toBe(0)
    expect(github.issues().map(({ title, state }) => `${title}: ${state}`)).toEqual([
      'KMS etcd encryption needs attention: closed',
      'KMS: open',
      'The test fleet: open'
    ])
    expect(github.comments(1).at(-1)?.body).toMatch(/^✅ All 3 clusters are green again\./)
    for (const number of others) expect(github.comments(number)).toEqual([])
  })

  test('is opened anew after it was closed', async () => {
    await report(five, wish)
    expect(github.issues().filter(({ title }) => title.startsWith('KMS etcd'))).toMatchObject([
      { state: 'closed' },
      { state: 'open' }
    ])
  })

  test('that GitHub refuses or fails to write is a warning, and hides no failure', async () => {
    const readOnly = github.createToken({ permissions: { issues: 'read' } })
    const refused = await report([...five, failedLeg('x')], { ...wish, 'issue-title': 'Refused' }, { token: readOnly })
    expect(refused.exitCode).toBe(1)
    expect(refused.annotations.filter(({ level }) => level === 'warning')).toEqual([
      {
        level: 'warning',
        title: 'The issue is not up to date: github-forbidden',
        message: expect.stringContaining('refused to open an issue')
      }
    ])
    github.failNext(
      1,
      { status: 502, body: 'bad gateway' },
      ({ method, path }) => method === 'POST' && path.endsWith('/issues')
    )
    await report(five, { ...wish, 'issue-title': 'Once' })
    expect(github.issues().filter(({ title }) => title === 'Once')).toHaveLength(1)
  })
})
