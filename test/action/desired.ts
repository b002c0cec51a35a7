import type { Bed, Inputs } from '../../testbed/bed.ts'
import type { RunOptions, RunResult, WorkflowEvent } from '../../testbed/runner/run-action.ts'

/** A desired state of the bed's cluster alone, by the name `prod`; YAML takes JSON. */
export function desiredState(bed: Bed, properties: Readonly<Record<string, unknown>>): string {
  const { subscriptionId, resourceGroup, name } = bed.cluster
  const ids = { 'subscription-id': subscriptionId, 'resource-group': resourceGroup, 'cluster-name': name }
  return JSON.stringify({ clusters: [{ name: 'prod', ...ids, ...properties }] }, undefined, 2)
}

/** Runs `reconcile` with this desired state as `clusters.yml` in the workspace. */
export async function reconcile(
  bed: Bed,
  properties: Readonly<Record<string, unknown>>,
  inputs: Inputs = {},
  options: Omit<RunOptions, 'inputs'> = {}
): Promise<RunResult> {
  return await bed.run(
    'reconcile',
    { 'resource-group': '', 'cluster-name': '', 'desired-state': 'clusters.yml', cluster: 'prod', ...inputs },
    { files: { 'clusters.yml': desiredState(bed, properties) }, ...options }
  )
}

export interface PullRequestEventOptions {
  readonly head?: string
  readonly sender?: string
  readonly state?: 'open' | 'closed'
  readonly merged?: boolean
}

/** An event of an open pull request of the bed's repository. */
export function pullRequestEvent(
  number: number,
  { head = 'octo-org/platform', sender = 'mona', state = 'open', merged = false }: PullRequestEventOptions = {}
): WorkflowEvent {
  return {
    name: 'pull_request',
    ref: `refs/pull/${number}/merge`,
    payload: {
      action: 'synchronize',
      number,
      pull_request: { number, state, merged, head: { sha: 'feed'.repeat(10), repo: { full_name: head } } },
      sender: { login: sender }
    }
  }
}

export function pushEvent(sha: string): WorkflowEvent {
  return { name: 'push', ref: 'refs/heads/main', sha, payload: { after: sha } }
}
