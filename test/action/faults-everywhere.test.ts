import { afterAll, beforeAll, jest, test } from '@jest/globals'

import type { Fault } from '../../testbed/embedded-apiserver/faults.ts'
import { Everywhere } from './everywhere.ts'

/**
 * A proof after a change of key sends some sixty requests here. Whatever becomes of any single one of them, it ends proved, and
 * every Secret lies under the new key with what was in it.
 */

// Dozens of proofs each: seconds on a machine that has nothing else to do, minutes on one that has.
jest.setTimeout(600_000)

let everywhere: Everywhere
let positions: number

beforeAll(async () => {
  everywhere = await Everywhere.start()
  positions = (await everywhere.proveUndisturbed()).requests.length
})
afterAll(() => everywhere.stop())

const FAULTS: readonly (readonly [string, Fault])[] = [
  ['429 with Retry-After', { kind: 'answer', status: 429, retryAfter: 1 }],
  ['429 without Retry-After', { kind: 'answer', status: 429 }],
  ['500', { kind: 'answer', status: 500 }],
  ['502', { kind: 'answer', status: 502 }],
  ['503', { kind: 'answer', status: 503 }],
  ['504', { kind: 'answer', status: 504 }],
  ['reset before the request is carried out', { kind: 'reset', carriedOut: false }],
  ['reset after it', { kind: 'reset', carriedOut: true }],
  ['GOAWAY, the request being left unprocessed', { kind: 'goaway', answered: false }],
  ['GOAWAY, the request being answered', { kind: 'goaway', answered: true }],
  ['refused stream', { kind: 'refused-stream' }],
  ['answer that breaks off', { kind: 'truncated' }],
  ['delay', { kind: 'delay', milliseconds: 15 }]
]

test.each(FAULTS)('%s, at every request', async (_, fault) => {
  await everywhere.strikeEverywhere({ to: positions }, (position, { controlPlane }) =>
    controlPlane.faults.inject(fault, { after: position })
  )
})
