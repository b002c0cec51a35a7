import { expect, test } from '@jest/globals'
import { progressLine } from '../../src/report/progress.ts'

test('a pass with a known total says what is left', () => {
  expect(
    progressLine({
      pass: 1,
      listed: 1_500,
      settled: 1_240,
      reEncrypted: 1_240,
      elapsedMs: 1_937.5,
      expectedTotal: 2_000
    })
  ).toBe('Pass 1: 1,240 of about 2,000 Secrets, 640/s, about 1.2 s left, 1,240 re-encrypted')
})

test('a pass without one counts what is listed', () => {
  expect(progressLine({ pass: 1, listed: 500, settled: 20, reEncrypted: 3, elapsedMs: 1_000 })).toBe(
    'Pass 1: 20 of 500 Secrets listed so far, 20/s, 3 re-encrypted'
  )
})

test('more may be listed than expected', () => {
  expect(
    progressLine({ pass: 2, listed: 110, settled: 110, reEncrypted: 0, elapsedMs: 1_000, expectedTotal: 100 })
  ).toBe('Pass 2: 110 of about 110 Secrets, 110/s, about 0 ms left, 0 re-encrypted')
})

test('nothing settled yet gives no estimate', () => {
  expect(progressLine({ pass: 1, listed: 0, settled: 0, reEncrypted: 0, elapsedMs: 0, expectedTotal: 10 })).toBe(
    'Pass 1: 0 of about 10 Secrets, 0/s, 0 re-encrypted'
  )
})
