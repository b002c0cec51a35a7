import { globSync, readFileSync } from 'node:fs'
import { load } from 'js-yaml'

export interface InputDefinition {
  readonly description?: string
  readonly type: 'string' | 'boolean' | 'number' | 'choice'
  readonly required?: boolean
  readonly default?: string | number | boolean
  readonly options?: readonly string[]
}

export interface Step {
  readonly id?: string
  readonly if?: string
  readonly uses?: string
  readonly run?: string
  readonly with?: Readonly<Record<string, string | number | boolean>>
}

export interface Job {
  readonly name?: string
  readonly needs?: string | readonly string[]
  readonly if?: string
  readonly uses?: string
  readonly with?: Readonly<Record<string, string | number | boolean>>
  readonly permissions?: Readonly<Record<string, string>>
  readonly concurrency?: { readonly group: string; readonly 'cancel-in-progress': boolean; readonly queue?: string }
  readonly strategy?: { readonly matrix: string; readonly 'fail-fast': boolean; readonly 'max-parallel': string }
  readonly 'runs-on'?: string
  readonly 'timeout-minutes'?: number
  readonly environment?: string
  readonly outputs?: Readonly<Record<string, string>>
  readonly steps?: readonly Step[]
}

export interface Workflow {
  readonly name: string
  readonly on: {
    readonly workflow_call?: {
      readonly inputs?: Readonly<Record<string, InputDefinition>>
      readonly outputs?: Readonly<Record<string, { readonly description: string; readonly value: string }>>
    } | null
    readonly workflow_dispatch?: { readonly inputs?: Readonly<Record<string, InputDefinition>> } | null
    readonly schedule?: readonly { readonly cron: string; readonly timezone?: string }[]
  }
  readonly permissions: Readonly<Record<string, string>>
  readonly jobs: Readonly<Record<string, Job>>
}

export function readWorkflow(path: string): Workflow {
  return load(readFileSync(path, 'utf8')) as Workflow
}

const ALL = globSync('.github/workflows/*.yml').sort()

/** Workflows that other repositories call. */
export const REUSABLE = ALL.filter((path) => readWorkflow(path).on.workflow_call !== undefined)

/** This project's own. */
export const OWN = ALL.filter((path) => !REUSABLE.includes(path))

/** Those that users copy. */
export const CALLERS = globSync('workflows/*.yml').sort()

export const EVERY = [...ALL, ...CALLERS]
