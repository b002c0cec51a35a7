import { readFileSync } from 'node:fs'
import { pullRequestOfEvent, type EventPullRequest } from './github/pull-requests.ts'
import { asObject, type JsonObject } from './model/json.ts'

/** A variable that the runner sets; empty where it does not. Source: docs.github.com/actions/reference/workflows-and-actions/variables */
export function environment(name: string): string {
  return process.env[name] ?? ''
}

/** Url of this very attempt of the workflow run; undefined outside GitHub Actions. */
export function runUrl(): string | undefined {
  const [server, repository, id] = [
    environment('GITHUB_SERVER_URL'),
    environment('GITHUB_REPOSITORY'),
    environment('GITHUB_RUN_ID')
  ]
  if (repository === '' || id === '') return undefined
  return `${server}/${repository}/actions/runs/${id}/attempts/${environment('GITHUB_RUN_ATTEMPT') || '1'}`
}

/** The docs of the very version that runs; GITHUB_ACTION_REPOSITORY is empty for an action of the workflow's own repository. */
export function docsUrl(): string {
  const repository = environment('GITHUB_ACTION_REPOSITORY') || environment('GITHUB_REPOSITORY')
  const ref = environment('GITHUB_ACTION_REF') || environment('GITHUB_SHA') || 'main'
  return `${environment('GITHUB_SERVER_URL') || 'https://github.com'}/${repository}/blob/${ref}/docs`
}

/** The pull request that the event is about; undefined for an event that is about none. */
export function eventPullRequest(): EventPullRequest | undefined {
  return pullRequestOfEvent(readEvent(), environment('GITHUB_REPOSITORY'))
}

/** The payload of the workflow's event; empty where there is none. */
function readEvent(): JsonObject {
  try {
    return asObject(JSON.parse(readFileSync(environment('GITHUB_EVENT_PATH'), 'utf8')))
  } catch {
    return {}
  }
}
