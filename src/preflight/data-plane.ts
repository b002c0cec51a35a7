import { refusal, type Finding } from '../model/finding.ts'
import type { Observed } from '../model/observed.ts'

/** New key versions are made by the vault itself, and a Private one does not answer a runner outside of its network. */
export function checkDataPlane({ dataPlane }: Observed): readonly Finding[] {
  if (dataPlane?.kind !== 'unreachable') return []
  return [
    refusal(
      'data-plane-unreachable',
      `The cluster uses the newest version of its key, and a new one can’t be made from here. ${dataPlane.message}`
    )
  ]
}
