import type { Observed } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { proveThenDone } from './reach.ts'

/** Prove, whatever the cluster encrypts under; without Azure too. */
export function reencrypt(observed: Observed): Decision {
  return proveThenDone(observed, 'Every Secret is encrypted as the API servers are set up to.')
}
