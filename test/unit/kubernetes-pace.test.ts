import { expect, test } from '@jest/globals'

import { Pace } from '../../src/kubernetes/pace.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const { signal } = new AbortController()

test('no second has more requests than permitted, and none is wasted', async () => {
  const clock = new FakeClock()
  const pace = new Pace(50, clock)
  const began = clock.now()
  const turns: number[] = []
  while (clock.now() < began + 3_000) {
    await pace.turn(signal)
    turns.push(clock.now())
  }
  const inSecond = (from: number) => turns.filter((at) => at >= from && at < from + 1_000).length
  for (const from of turns.filter((at) => at <= began + 2_000)) expect(inSecond(from)).toBe(50)
})

test('time that went by unused gives no right to a burst', async () => {
  const clock = new FakeClock()
  const pace = new Pace(10, clock)
  await pace.turn(signal)
  clock.advance(60_000)
  const resumed = clock.now()
  for (let i = 0; i < 11; i++) await pace.turn(signal)
  expect(clock.now() - resumed).toBe(1_000)
})

test('a wait ends with the run', async () => {
  const pace = new Pace(1, new FakeClock())
  await pace.turn(signal)
  await expect(pace.turn(AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled')
})
