import { expect, test } from '@jest/globals'
import { extractPlan } from '../../src/model/approved-plan.ts'
import { finding } from '../../src/model/finding.ts'
import { hashOfBasis } from '../../src/model/plan-basis.ts'
import type { RunReport } from '../../src/model/report.ts'
import { renderComment } from '../../src/report/comment.ts'
import { failedToSignIn, notDue, plannedRefusal, plannedRotation } from '../fixtures/reports.ts'

const OPTIONS = { docsUrl: 'https://github.com/contoso/kms/blob/v1/docs', commit: 'feed'.repeat(10) }

/** With the hash that its basis has. */
function whole(report: RunReport): RunReport {
  return report.plan === undefined
    ? report
    : { ...report, plan: { ...report.plan, hash: hashOfBasis(report.plan.basis) } }
}

test('a plan says what happens, to the Secrets too, and how long it takes', () => {
  const comment = renderComment(whole(plannedRotation()), OPTIONS)
  expect(comment).toContain('### 📝 Dry run: 5 steps to take. Nothing was changed.')
  expect(comment).toContain('1. Make a new version of the key')
  expect(comment).toContain(
    '- **Secrets:** About 1,240 now. In 2 proofs each gets an empty patch: the API server encrypts it anew where it is not under the key in use yet, and after the change that is every one.'
  )
  expect(comment).toContain('- **Time:** about 3 to 6 minutes.')
  expect(comment).not.toContain('dry-run')
  expect(extractPlan(comment, '')).toMatchObject({ content: { titles: expect.arrayContaining([]) } })
})

test('a plan without a step is said in one line', () => {
  const plan = { ...plannedRotation().plan, steps: [], sentence: 'Not due until 2027-01-14: nothing was touched.' }
  const comment = renderComment(
    { ...notDue(), ...plannedRotation(), plan: { ...plannedRotation().plan, ...plan } as RunReport['plan'] },
    OPTIONS
  )
  expect(comment).toContain('### 📝 Dry run: Not due until 2027-01-14: nothing was touched.')
  expect(comment).not.toMatch(/#### Plan|Secrets:|Time:/)
})

test('a plan that is refused on its way says so', () => {
  expect(renderComment(whole(plannedRefusal()), OPTIONS)).toContain(
    '> **Refused then:** From 1.25.15 AKS offers nothing'
  )
})

test('a run that came to no plan holds none', () => {
  const comment = renderComment({ ...failedToSignIn(), dryRun: true }, OPTIONS)
  expect(comment).toContain('### ❌')
  expect(comment).not.toContain('plan-data')
})

test('the number of Secrets and an upgrade may be unknown', () => {
  const comment = renderComment(
    { ...whole(plannedRotation()), estimate: { secrets: undefined, minMs: 600_000, maxMs: undefined } },
    OPTIONS
  )
  expect(comment).toContain('How many there are could not be read.')
  expect(comment).toContain('at least about 10 minutes.')
})

test('what would not fit is shortened, and points to the whole; the plan stays whole', () => {
  const warnings = Array.from({ length: 40 }, (_, i) =>
    finding('warning', 'key-must-stay', `${String(i)} ${'x'.repeat(1400)}`)
  )
  const report = whole({ ...plannedRotation(), findings: warnings })
  const short = renderComment(report, OPTIONS, 20_000)
  expect(renderComment(report, OPTIONS).length).toBeGreaterThan(20_000)
  expect(short.length).toBeLessThan(20_000)
  expect(short).toContain(
    'This is the short form, because the whole would not fit here. All of it is in [the job summary](https://github.com/'
  )
  expect(extractPlan(short, '')?.hash).toBe(report.plan?.hash)
})

test('somebody’s words mention nobody and are no markup', () => {
  const report = whole({
    ...plannedRotation(),
    findings: [finding('warning', 'key-must-stay', '@mona <img src=x> --> #12')]
  })
  const comment = renderComment(report, OPTIONS)
  expect(comment).not.toMatch(/@mona|<img|#12/)
})
