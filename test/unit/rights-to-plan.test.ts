import { expect, test } from '@jest/globals'
import { withRightsToPlan } from '../../src/preflight/rights-to-plan.ts'
import { makePlan } from '../../src/plan.ts'
import { clusterWith, keyDetails, keyVersion, kmsOn, observedWith, requestFor } from '../fixtures/observed.ts'

const KEYS = [keyDetails(keyVersion(1)), keyDetails(keyVersion(2))]
const all = observedWith(clusterWith(kmsOn(keyVersion(1))), KEYS)
const reading = { ...all, missingRights: [{ verb: 'patch', resource: 'secrets' }], assignIdentity: 'missing' } as const

test('a plan does not depend on what the identity that makes it may change, and says so', () => {
  const rotate = requestFor('rotate', { dryRun: true })
  expect(makePlan(rotate, reading).plan.refused).toBe(true)
  const observed = withRightsToPlan(rotate, reading)
  expect(makePlan(rotate, observed).plan).toEqual(makePlan(rotate, all).plan)
  expect(observed.findings.map(({ severity, code }) => `${severity}: ${code}`)).toEqual([
    'note: secrets-forbidden',
    'note: identity-assign-forbidden'
  ])
})

test('where nothing is missing there is nothing to say', () => {
  expect(withRightsToPlan({ dryRun: true }, all)).toEqual({ ...all, assignIdentity: 'unknown' })
  expect(withRightsToPlan({ dryRun: false }, reading)).toBe(reading)
})
