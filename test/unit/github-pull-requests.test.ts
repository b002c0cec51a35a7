import { expect, test } from '@jest/globals'
import type { GitHubClient } from '../../src/github/client.ts'
import { pullRequestOfCommit, pullRequestOfEvent } from '../../src/github/pull-requests.ts'
import type { JsonObject } from '../../src/model/json.ts'

const REPOSITORY = 'contoso/platform'

function event(head: string, sender = 'mona'): JsonObject {
  return {
    pull_request: { number: 7, head: { sha: 'feed', repo: { full_name: head } } },
    sender: { login: sender }
  }
}

test.each<[string, JsonObject, string | undefined]>([
  ['the repository itself', event('Contoso/Platform'), undefined],
  ['a fork', event('mallory/platform'), 'fork'],
  ['a fork that is gone', { pull_request: { number: 7, head: { sha: 'feed', repo: null } } }, 'fork'],
  ['Dependabot', event(REPOSITORY, 'dependabot[bot]'), 'dependabot']
])('an event of a pull request of %s', (_, payload, readOnlyToken) => {
  expect(pullRequestOfEvent(payload, REPOSITORY)).toEqual({
    number: 7,
    headSha: 'feed',
    readOnlyToken,
    abandoned: false
  })
})

test.each<[boolean, JsonObject]>([
  [true, { state: 'closed', merged: false }],
  [false, { state: 'closed', merged: true }],
  [false, { state: 'open', merged: false }]
])('abandoned %s: %o', (abandoned, state) => {
  expect(pullRequestOfEvent({ pull_request: { number: 7, ...state } }, REPOSITORY)?.abandoned).toBe(abandoned)
})

test('an event of something else is about none', () => {
  for (const payload of [{}, { issue: { number: 7 } }, { pull_request: {} }]) {
    expect(pullRequestOfEvent(payload, REPOSITORY)).toBeUndefined()
  }
})

function clientWith(...pullRequests: readonly JsonObject[]): GitHubClient {
  return {
    send: () => Promise.reject(new Error('not asked for')),
    query: () => Promise.reject(new Error('not asked for')),
    async *list(route, parameters) {
      expect([route, parameters]).toEqual([
        'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls',
        { commit_sha: 'beef' }
      ])
      yield* pullRequests
    }
  }
}

const open = { number: 1, merged_at: null, merge_commit_sha: 'beef' }
const earlier = { number: 2, merged_at: '2026-11-01T00:00:00Z', merge_commit_sha: 'cafe' }
const own = { number: 3, merged_at: '2026-11-02T00:00:00Z', merge_commit_sha: 'beef' }

test.each<[string, readonly JsonObject[], number | undefined]>([
  ['of several that one whose merge made it', [open, earlier, own], 3],
  ['one that was merged by rebasing, of which it is not the last', [open, earlier], 2],
  ['none that is still open', [open], undefined],
  ['none', [], undefined]
])('a commit was brought by %s', async (_, pullRequests, number) => {
  expect(await pullRequestOfCommit(clientWith(...pullRequests), 'beef')).toBe(number)
})
