import { dump } from 'js-yaml'
import type { InputMetadata, Metadata } from './metadata.ts'

/** Inputs for workflows of one's own: other ways to sign in, what belongs to pull requests, and the switch of the summary. */
export const NOT_PASSED_ON: readonly string[] = [
  ...[
    'approved-plan',
    'cluster',
    'comment',
    'credential',
    'desired-state',
    'github-token',
    'kubeconfig',
    'show-summary'
  ]
]

/** Outputs that mean nothing outside of the job. */
const NOT_GIVEN_OUT: readonly string[] = ['comment-url', 'report']

/** What the ID token, the one way to sign in, takes. */
const REQUIRED: readonly string[] = ['operation', 'client-id', 'tenant-id']

/** The parts of the reusable workflow `operate.yml` that follow from action.yml, by the names of their markers. */
export function operateWorkflow({ inputs, outputs = {} }: Metadata): Readonly<Record<string, string>> {
  const passed = Object.entries(inputs).filter(([name]) => !NOT_PASSED_ON.includes(name))
  const given = Object.entries(outputs).filter(([name]) => !NOT_GIVEN_OUT.includes(name))
  return {
    inputs: yaml(6, Object.fromEntries(passed.map(([name, input]) => [name, typed(name, input)]))),
    outputs: yaml(
      6,
      Object.fromEntries(
        given.map(([name, { description }]) => [name, { description, value: `\${{ jobs.operate.outputs.${name} }}` }])
      )
    ),
    'job outputs': yaml(6, Object.fromEntries(given.map(([name]) => [name, `\${{ steps.operate.outputs.${name} }}`]))),
    with: yaml(10, Object.fromEntries(passed.map(([name]) => [name, `\${{ inputs.${name} }}`])))
  }
}

/** An action's inputs are all texts; a workflow's have types. */
function typed(name: string, { description, default: text }: InputMetadata): InputMetadata {
  if (REQUIRED.includes(name)) return { description, type: 'string', required: true }
  if (text === 'true' || text === 'false') return { description, type: 'boolean', default: text === 'true' }
  if (typeof text === 'string' && /^\d+$/.test(text)) return { description, type: 'number', default: Number(text) }
  return { description, type: 'string', ...(text !== undefined && { default: text }) }
}

function yaml(indentation: number, value: unknown): string {
  return dump(value, { lineWidth: 120 - indentation })
    .replaceAll(/^(?=.)/gm, ' '.repeat(indentation))
    .trimEnd()
}
