import { createHttpHeaders, createPipelineRequest, RestError, type PipelineRequest } from '@azure/core-rest-pipeline'
import { describe, expect, test } from '@jest/globals'
import { pause } from '../../src/pause.ts'
import { retryAfter, transientRetryPolicy } from '../../src/azure/retry-policy.ts'
import { fakePause, rejection } from './azure-fakes.ts'

type Step = number | Error

/** Sends one request through the policy; every step is a status or an error. */
async function send(
  steps: readonly Step[],
  { mayRepeat = true, headers = {} }: { readonly mayRepeat?: boolean; readonly headers?: Record<string, string> } = {}
): Promise<{ readonly end: number | Error; readonly attempts: number; readonly waits: readonly number[] }> {
  const waiting = fakePause()
  const policy = transientRetryPolicy({ mayRepeat: () => mayRepeat, pause: waiting.pause })
  let attempts = 0
  const next = (request: PipelineRequest) => {
    const step = steps[Math.min(attempts++, steps.length - 1)] ?? 200
    if (typeof step !== 'number') return Promise.reject(step)
    return Promise.resolve({ request, status: step, headers: createHttpHeaders(headers) })
  }
  const end = await policy.sendRequest(createPipelineRequest({ url: 'https://x.example' }), next).then(
    ({ status }) => status,
    (error: unknown) => error as Error
  )
  return { end, attempts, waits: waiting.waits }
}

const failure = (code: string): RestError => new RestError('x', { code })

test.each([408, 429, 500, 502, 503, 504])('%i is repeated', async (status) => {
  expect(await send([status, status, 200])).toMatchObject({ end: 200, attempts: 3 })
})

test.each([200, 201, 202, 204, 400, 401, 403, 404, 409, 412, 501, 505])('%i is not', async (status) => {
  expect(await send([status])).toEqual({ end: status, attempts: 1, waits: [] })
})

test.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED'])(
  '%s is repeated',
  async (code) => {
    expect(await send([failure(code), 200])).toMatchObject({ end: 200, attempts: 2 })
  }
)

test('what is no failure of the network is not', async () => {
  const error = new TypeError('bug')
  expect(await send([error])).toEqual({ end: error, attempts: 1, waits: [] })
})

describe('a request that must not be carried out twice', () => {
  test.each([429, failure('ENOTFOUND'), failure('EAI_AGAIN'), failure('ECONNREFUSED')])(
    'is repeated after %s',
    async (step) => {
      expect(await send([step, 200], { mayRepeat: false })).toMatchObject({ end: 200, attempts: 2 })
    }
  )

  test.each([500, 503, failure('ECONNRESET'), failure('ETIMEDOUT')])('is not repeated after %s', async (step) => {
    expect(await send([step], { mayRepeat: false })).toMatchObject({ end: step, attempts: 1 })
  })
})

test('an answer that calls itself JSON and is none counts by its status', async () => {
  const request = createPipelineRequest({ url: 'https://x.example' })
  const unreadable = (status: number): RestError =>
    new RestError('x', {
      code: 'PARSE_ERROR',
      statusCode: status,
      response: { request, status, headers: createHttpHeaders() }
    })
  expect(await send([unreadable(503), 200])).toMatchObject({ end: 200, attempts: 2 })
  expect((await send([unreadable(403)])).attempts).toBe(1)
})

test('gives up after eight repeats, waiting with full jitter', async () => {
  const runs = await Promise.all(Array.from({ length: 200 }, () => send([503])))
  const limits = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
  for (const { end, attempts, waits } of runs) {
    expect({ end, attempts }).toEqual({ end: 503, attempts: 9 })
    expect(waits.every((wait, index) => wait <= (limits[index] ?? 0))).toBe(true)
  }
  const last = runs.map(({ waits }) => waits[7] ?? 0)
  expect(Math.min(...last)).toBeLessThan(3_000)
  expect(Math.max(...last)).toBeGreaterThan(27_000)
})

test('waits as long as it is told', async () => {
  expect((await send([429, 200], { headers: { 'retry-after': '17' } })).waits).toEqual([17_000])
})

test('an abort ends it with the signal’s reason, while it sends and while it waits', async () => {
  const abort = new AbortController()
  const reason = new Error('cancelled')
  const policy = transientRetryPolicy({ mayRepeat: () => true })
  const request = createPipelineRequest({ url: 'https://x.example', abortSignal: abort.signal })
  const sending = policy.sendRequest(request, () => Promise.reject(failure('ECONNRESET')))
  setTimeout(() => {
    abort.abort(reason)
  }, 20)
  expect(await rejection(sending)).toBe(reason)
  expect(
    await rejection(
      policy.sendRequest(createPipelineRequest({ url: 'https://x.example', abortSignal: abort.signal }), () =>
        Promise.reject(failure('ECONNRESET'))
      )
    )
  ).toBe(reason)
})

test('retryAfter reads seconds and dates', () => {
  expect(retryAfter('3')).toBe(3_000)
  expect(retryAfter('0')).toBe(0)
  expect(retryAfter(new Date(Date.now() + 60_000).toUTCString())).toBeGreaterThan(55_000)
  expect(retryAfter('Wed, 21 Oct 2015 07:28:00 GMT')).toBe(0)
  for (const nothing of [undefined, '', 'soon']) expect(retryAfter(nothing)).toBeUndefined()
})

test('pause ends at the abort, with its reason', async () => {
  const reason = new Error('cancelled')
  expect(await rejection(pause(60_000, AbortSignal.abort(reason)))).toBe(reason)
  const abort = new AbortController()
  const pausing = pause(60_000, abort.signal)
  abort.abort(reason)
  expect(await rejection(pausing)).toBe(reason)
  await pause(1, undefined)
})
