import { expect, test } from '@jest/globals'
import type { ProofProgress } from '../../src/model/secrets.ts'
import { progressLine } from '../../src/report/progress.ts'

function progress(more: Partial<ProofProgress>): ProofProgress {
  return {
    pass: 1,
    passEnded: false,
    listed: 0,
    settled: 0,
    reEncrypted: 0,
    failed: 0,
    elapsedMs: 1_000,
    expectedTotal: undefined,
    ...more
  }
}

test('a pass with a known total says what is left', () => {
  const line = progressLine(
    progress({ pass: 2, listed: 1_500, settled: 1_240, reEncrypted: 1_240, elapsedMs: 1_937.5, expectedTotal: 2_000 })
  )
  expect(line).toBe('Pass 2: 1,240 of about 2,000 Secrets, 640/s, about 1.2 s left, 1,240 re-encrypted')
})

test('a pass without one counts what is listed', () => {
  const line = progressLine(progress({ listed: 500, settled: 20, reEncrypted: 3, failed: 2 }))
  expect(line).toBe('Pass 1: 20 of 500 Secrets listed so far, 20/s, 3 re-encrypted, 2 failed')
})

test('more may be listed than expected', () => {
  const line = progressLine(progress({ listed: 110, settled: 55, expectedTotal: 100 }))
  expect(line).toBe('Pass 1: 55 of about 110 Secrets, 55/s, about 1.0 s left, 0 re-encrypted')
})

test('nothing settled yet gives no estimate', () => {
  expect(progressLine(progress({ elapsedMs: 0, expectedTotal: 10 }))).toBe(
    'Pass 1: 0 of about 10 Secrets, 0/s, 0 re-encrypted'
  )
})

test('a pass that ended says how long it took', () => {
  const line = progressLine(
    progress({
      passEnded: true,
      listed: 2_000,
      settled: 2_000,
      reEncrypted: 1_940,
      failed: 60,
      elapsedMs: 3_125,
      expectedTotal: 1_990
    })
  )
  expect(line).toBe('Pass 1: 2,000 Secrets in 3.1 s, 640/s, 1,940 re-encrypted, 60 failed')
})
