import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'

export interface InputMetadata {
  readonly description: string
  readonly required?: boolean
  readonly default?: string | number | boolean
  /** Of reusable workflows only. */
  readonly type?: string
}

/** What users can give and get: of an action, or of a reusable workflow. */
export interface Metadata {
  readonly inputs: Readonly<Record<string, InputMetadata>>
  readonly outputs?: Readonly<Record<string, { readonly description: string }>>
}

/** `folder` is relative to the root of the repository. */
export function readAction(folder: string): Metadata {
  return load(readFileSync(`${folder}/action.yml`, 'utf8')) as Metadata
}

export function parseReusableWorkflow(text: string): Metadata {
  return (load(text) as { readonly on: { readonly workflow_call: Metadata } }).on.workflow_call
}
