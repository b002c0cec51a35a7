import { finding, type Finding } from '../model/finding.ts'
import type { Observed } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { proveThenDone } from './reach.ts'

/** Prove, whatever the cluster encrypts under; without Azure too. */
export function reencrypt(observed: Observed): Decision {
  return proveThenDone(observed, 'Every Secret is encrypted as the API servers are set up to.', unfinished(observed))
}

/** What another operation has begun is for that one to end. */
function unfinished({ record }: Observed): readonly Finding[] {
  if (record.goal === undefined) return []
  return [
    finding('note', 'operation-unfinished', `By the record, \`${record.goal.operation}\` is under way on this cluster.`)
  ]
}
