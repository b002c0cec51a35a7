import { CATALOG, type Code } from '../errors.ts'

/** Something observed that matters. A refusal blocks the operation; a warning and a note are shown. */
export interface Finding {
  readonly severity: 'refusal' | 'warning' | 'note'
  readonly code: Code
  /** The code's sentence, made specific. */
  readonly message: string
  readonly fix: string
}

export function finding(severity: Finding['severity'], code: Code, message?: string, fix?: string): Finding {
  return { severity, code, message: message ?? CATALOG[code].title, fix: fix ?? CATALOG[code].fix }
}

export function refusal(code: Code, message?: string, fix?: string): Finding {
  return finding('refusal', code, message, fix)
}
