import type { Code } from '../errors.ts'
import type { RunReport } from '../model/report.ts'

export interface Problem {
  readonly code: Code
  readonly message: string
  readonly fix: string
}

/** What makes the run red: its error first, then what it was refused for. */
export function problemsOf({ error, findings }: RunReport): readonly Problem[] {
  const refusals = findings.filter(({ severity, code, message }) => {
    return severity === 'refusal' && !(code === error?.code && message === error.message)
  })
  return error === undefined ? refusals : [error, ...refusals]
}
