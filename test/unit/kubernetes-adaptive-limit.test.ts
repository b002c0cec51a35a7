import { expect, test } from '@jest/globals'

import { AdaptiveLimit } from '../../src/kubernetes/adaptive-limit.ts'
import type { Failure } from '../../src/kubernetes/retry.ts'
import { TransportError } from '../../src/kubernetes/transport.ts'

const answer = (status: number): Failure => ({ status, headers: {}, body: Buffer.alloc(0) })

test('grows by one for as many answers as it lets through, up to 100', () => {
  const limit = new AdaptiveLimit(10)
  for (let i = 0; i < 11; i++) limit.onAnswer(10)
  expect(limit.current).toBe(11)
  for (let i = 0; i < 100_000; i++) limit.onAnswer(100)
  expect(limit.current).toBe(100)
})

test('does not grow while it is not used up', () => {
  const limit = new AdaptiveLimit(10)
  for (let i = 0; i < 100; i++) limit.onAnswer(9)
  expect(limit.current).toBe(10)
})

test.each([answer(429), answer(503), answer(504), new TransportError('ETIMEDOUT')])('halves on overload', (failure) => {
  const limit = new AdaptiveLimit(64)
  limit.onFailure(failure)
  expect(limit.current).toBe(32)
})

test.each([answer(500), answer(401), new TransportError('ECONNRESET')])('stays on other failures', (failure) => {
  const limit = new AdaptiveLimit(64)
  limit.onFailure(failure)
  expect(limit.current).toBe(64)
})

test('failures that come together count once, and there is always one more to try', () => {
  let now = 0
  const limit = new AdaptiveLimit(64, () => now)
  for (let i = 0; i < 64; i++) limit.onFailure(answer(429))
  expect(limit.current).toBe(32)
  for (now = 1000; now < 60_000; now += 1000) limit.onFailure(answer(429))
  expect(limit.current).toBe(2)
})
