import { expect, test } from '@jest/globals'

import { isCertificateProblem, isRetryable, Retries } from '../../src/kubernetes/retry.ts'
import { TransportError, type Result } from '../../src/kubernetes/transport.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const answer = (status: number, headers = {}): Result => ({ status, headers, body: Buffer.alloc(0) })

/** The delays until there is to be no further attempt, each of them waited. */
function delays(failure: Result, { patience = 60_000, random = 1 } = {}): number[] {
  const clock = new FakeClock(random)
  const retries = new Retries(clock, patience)
  const all: number[] = []
  for (let delay = retries.next(failure); delay !== undefined; delay = retries.next(failure)) {
    all.push(delay)
    clock.advance(delay)
  }
  return all
}

test('delays double up to 10 s, until patience ends', () => {
  expect(delays(new TransportError('ECONNREFUSED'))).toEqual([
    250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000, 4250
  ])
})

test('jitter is full', () => {
  expect(delays(new TransportError('ECONNRESET'), { random: 0.5 }).slice(0, 3)).toEqual([125, 250, 500])
})

test('Retry-After is the least delay, and jitter comes on top', () => {
  expect(delays(answer(429, { 'retry-after': '5' })).slice(0, 3)).toEqual([5250, 5500, 6000])
  expect(delays(answer(503, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' })).slice(0, 2)).toEqual([250, 500])
  expect(delays(answer(503, { 'retry-after': '-1' })).slice(0, 1)).toEqual([250])
})

test.each([
  ['an internal error', answer(500)],
  ['an unknown credential', answer(401)],
  ['a certificate that does not fit', new TransportError('DEPTH_ZERO_SELF_SIGNED_CERT')],
  ['an unknown host', new TransportError('ENOTFOUND')]
])('%s is tried a few times only', (_, failure) => {
  expect(delays(failure)).toEqual([250, 500, 1000, 2000])
})

test('what is worth another attempt', () => {
  expect([401, 429, 500, 502, 503, 504].every(isRetryable)).toBe(true)
  expect([200, 403, 404, 409, 410, 422].some(isRetryable)).toBe(false)
})

test.each([
  ['CERT_HAS_EXPIRED', true],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', true],
  ['SELF_SIGNED_CERT_IN_CHAIN', true],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', true],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', true],
  ['ERR_TLS_CERT_ALTNAME_INVALID', true],
  ['ECONNREFUSED', false],
  ['ERR_HTTP2_STREAM_ERROR', false],
  ['EAI_AGAIN', false]
])('%s as a certificate’s fault: %s', (code, expected) => {
  expect(isCertificateProblem(code)).toBe(expected)
})
