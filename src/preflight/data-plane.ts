import { refusal, type Finding } from '../model/finding.ts'
import type { Observed } from '../model/observed.ts'

const WAYS_TO_REPAIR =
  'Run this on a self-hosted runner inside the vault’s network, or mend the key version from there yourself and run `rotate`.'

/** Key versions are made and changed by the vault itself, and a Private one does not answer a runner outside of its network. */
export function checkDataPlane({ dataPlane }: Observed, attempt: 'make' | 'repair'): readonly Finding[] {
  if (dataPlane?.kind !== 'unreachable') return []
  const [what, fix] =
    attempt === 'make'
      ? ['The cluster uses the newest version of its key, and a new one can’t be made from here.', undefined]
      : ['The key version can’t be repaired from here.', WAYS_TO_REPAIR]
  return [refusal('data-plane-unreachable', `${what} ${dataPlane.message}`, fix)]
}
