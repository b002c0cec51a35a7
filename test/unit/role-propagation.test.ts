import { describe, expect, test } from '@jest/globals'
import { ActionError } from '../../src/errors.ts'
import { untilRoleHasSpread } from '../../src/steps/role-propagation.ts'
import { rejection } from './azure-fakes.ts'

const rejected = new ActionError('key-permission-missing', 'AKS rejected it.')

/** A clock that nothing moves but pauses, and what was said. */
function scene(update: (attempt: number) => Promise<void>) {
  const said: string[] = []
  const pauses: number[] = []
  let time = 0
  let attempts = 0
  const log = {
    info: (text: string) => void said.push(text),
    debug: () => {},
    group: <T>(_: string, body: () => Promise<T>) => body()
  }
  const outcome = untilRoleHasSpread(
    () => update(++attempts),
    { log, signal: new AbortController().signal },
    {
      now: () => time,
      pause: (milliseconds) => {
        pauses.push(milliseconds)
        time += milliseconds
        return Promise.resolve()
      }
    }
  )
  return { outcome, said, pauses }
}

describe('an update that AKS rejects for a permission that is given', () => {
  test('is sent again after growing pauses, until AKS knows of it', async () => {
    const { outcome, said, pauses } = scene((attempt) => (attempt < 4 ? Promise.reject(rejected) : Promise.resolve()))
    await outcome
    expect(pauses).toEqual([5_000, 10_000, 20_000])
    expect(said).toHaveLength(3)
    expect(said[0]).toContain('up to 10 minutes to spread')
  })

  test('fails after 10 minutes at most, in words that say so', async () => {
    const { outcome, pauses } = scene(() => Promise.reject(rejected))
    const error = await rejection(outcome)
    expect(error).toMatchObject({
      code: 'key-permission-missing',
      message: expect.stringMatching(/AKS rejected it\. .* within 9 m 15 s/)
    })
    expect(pauses.reduce((sum, pause) => sum + pause)).toBeLessThanOrEqual(600_000)
    // AKS takes 20 writes at once and one a minute after that.
    expect(pauses.length).toBeLessThan(20)
  })

  test('is not repeated for any other reason', async () => {
    const other = new ActionError('cluster-update-rejected', 'No.')
    const { outcome, pauses } = scene(() => Promise.reject(other))
    expect(await rejection(outcome)).toBe(other)
    expect(pauses).toEqual([])
  })
})
