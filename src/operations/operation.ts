import type { ObservedCluster } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import type { Request } from '../request.ts'

/** From what is asked and what is observed to the next step, or done, or refused. Pure: no I/O, no clock, no SDK types. */
export type Operation = (request: Request, observed: ObservedCluster) => Decision
