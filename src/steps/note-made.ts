import { ClusterChangedError } from '../errors.ts'
import type { PreparedKind } from '../model/preparation.ts'
import type { StepContext } from './step-definition.ts'

/** Remembers what this run has made. Throws where somebody else has done it meanwhile: it is to be looked at first. */
export function noteMade(
  { memory, log }: Pick<StepContext, 'memory' | 'log'>,
  kind: PreparedKind,
  id: string,
  outcome: 'made' | 'was-there'
): void {
  if (outcome === 'was-there') throw new ClusterChangedError(`Somebody else has made ${id} meanwhile.`)
  memory.made.set(kind, Date.now())
  log.info(`Made ${id}`)
}
