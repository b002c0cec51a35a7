import { describe, expect, test } from '@jest/globals'

import { AdaptiveLimit } from '../../src/kubernetes/adaptive-limit.ts'
import { TransportError, type Result } from '../../src/kubernetes/transport.ts'

const answer = (status: number): Result => ({ status, headers: {}, body: Buffer.alloc(0) })

/** An API server that works on so many requests at once, each for so long; the others wait in line. Times in milliseconds. */
interface Server {
  readonly workers: number
  readonly service: number
  readonly roundTrip: number
}

/** Sends requests as the limit permits, several together; gives what came of it in the second half of the time. */
function drive(limit: AdaptiveLimit, server: Server, duration = 30_000) {
  const busyUntil = Array.from({ length: server.workers }, () => 0)
  const answers: { readonly at: number; readonly latency: number }[] = []
  const seen: { throughput: number; latency: number; most: number } = { throughput: 0, latency: 0, most: 0 }
  let underWay = 0
  const send = (now: number): void => {
    underWay++
    const arrival = now + server.roundTrip / 2
    const worker = busyUntil.indexOf(Math.min(...busyUntil))
    const done = Math.max(arrival, busyUntil[worker] ?? 0) + server.service
    busyUntil[worker] = done
    const at = done + server.roundTrip / 2
    const place = answers.findLastIndex((other) => other.at <= at) + 1
    answers.splice(place, 0, { at, latency: at - now })
  }
  for (let now = 0; now < duration;) {
    if (underWay <= limit.resumeAt) while (underWay < limit.current) send(now)
    const next = answers.shift()
    if (next === undefined) break
    now = next.at
    limit.onAnswer(next.latency, underWay--)
    if (now < duration / 2) continue
    seen.throughput++
    seen.latency += next.latency
    seen.most = Math.max(seen.most, limit.current)
  }
  const { throughput, latency, most } = seen
  return { throughput: throughput / (duration / 2000), latency: latency / throughput, most }
}

const MOST_WAITING = 135

const ceiling = ({ workers, service }: Server): number => (workers / service) * 1000

describe.each([0, 5, 20, 80])('at a round trip of %i ms', (roundTrip) => {
  const server = { workers: 4, service: 6, roundTrip }

  test('a busy API server is kept busy, with no more requests waiting than that takes', () => {
    const limit = new AdaptiveLimit()
    const { throughput, most } = drive(limit, server)
    expect(throughput).toBeGreaterThan(0.97 * ceiling(server))
    const needed = (ceiling(server) * (roundTrip + server.service)) / 1000
    expect(most).toBeLessThan(needed + MOST_WAITING)
  })

  test('one that becomes slower is asked less', () => {
    const limit = new AdaptiveLimit()
    drive(limit, server)
    const slower = { ...server, workers: 1 }
    const { throughput, most } = drive(limit, slower)
    expect(throughput).toBeGreaterThan(0.97 * ceiling(slower))
    expect(most).toBeLessThan((ceiling(slower) * (roundTrip + server.service)) / 1000 + MOST_WAITING)
  })
})

test('an API server far away is kept busy too', () => {
  const far = { workers: 8, service: 6, roundTrip: 80 }
  expect(drive(new AdaptiveLimit(), far).throughput).toBeGreaterThan(0.97 * ceiling(far))
  expect(drive(new AdaptiveLimit({ most: 100 }), far).throughput).toBeLessThan(0.95 * ceiling(far))
})

test('comes to speed within the first few hundred answers', () => {
  const limit = new AdaptiveLimit()
  drive(limit, { workers: 4, service: 6, roundTrip: 80 }, 1_000)
  expect(limit.current).toBeGreaterThanOrEqual(60)
})

test('never more than permitted, 200 by default', () => {
  const vast = { workers: 1000, service: 5, roundTrip: 5 }
  expect(drive(new AdaptiveLimit(), vast, 2_000).most).toBe(200)
  expect(drive(new AdaptiveLimit({ most: 7 }), vast, 2_000).most).toBe(7)
  expect(drive(new AdaptiveLimit({ most: 1 }), vast, 2_000).most).toBe(1)
})

test('does not grow while it is not used up', () => {
  const limit = new AdaptiveLimit()
  const first = limit.current
  for (let i = 0; i < 1000; i++) limit.onAnswer(10, first - 1)
  expect(limit.current).toBe(first)
})

/** A limit of 64. */
function grown(now?: () => number): AdaptiveLimit {
  const limit = new AdaptiveLimit({ most: 64, ...(now !== undefined && { now }) })
  drive(limit, { workers: 1000, service: 5, roundTrip: 5 }, 2_000)
  expect(limit.current).toBe(64)
  return limit
}

test.each([answer(429), answer(503), answer(504), new TransportError('ETIMEDOUT')])('halves on overload', (failure) => {
  const limit = grown()
  limit.onFailure(failure)
  expect(limit.current).toBe(32)
})

test.each([answer(500), answer(401), new TransportError('ECONNRESET')])('stays on other failures', (failure) => {
  const limit = grown()
  limit.onFailure(failure)
  expect(limit.current).toBe(64)
})

test('failures that come together count once, and there is always one more to try', () => {
  let now = 0
  const limit = grown(() => now)
  for (let i = 0; i < 64; i++) limit.onFailure(answer(429))
  expect(limit.current).toBe(32)
  for (now = 1000; now < 60_000; now += 1000) limit.onFailure(answer(429))
  expect(limit.current).toBe(2)
})
