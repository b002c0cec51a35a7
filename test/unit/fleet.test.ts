import { describe, expect, test } from '@jest/globals'
import { assessFleet, failedOf, readLeg, type Fleet, type Leg } from '../../src/model/fleet.ts'
import { renderFleet } from '../../src/report/fleet/summary.ts'
import { closingComment, failedIn, issueMarker, newlyFailedComment, renderIssue } from '../../src/report/fleet/issue.ts'
import { reportToJson } from '../../src/report/json.ts'
import type { RunReport } from '../../src/model/report.ts'
import { DAY, failedLeg, legReport, NOW, rotatedLeg } from '../fixtures/fleet.ts'

const OPTIONS = {
  docsUrl: 'https://github.com/contoso/kms/blob/v1/docs',
  run: 'https://github.com/contoso/platform/actions/runs/1'
}

function leg(report: RunReport, folder = ''): Leg {
  const read = readLeg(reportToJson(report), folder)
  if (read === undefined) throw new Error('It is no report.')
  return read
}

function fleet(reports: readonly RunReport[], expected?: readonly string[], maxKeyAge?: number): Fleet {
  return assessFleet(
    reports.map((report) => leg(report)),
    expected,
    { maxKeyAge, now: NOW }
  )
}

const render = (of: Fleet, longest = 250_000): string => renderFleet(of, OPTIONS, longest)

describe('a leg', () => {
  test('is read from its report', () => {
    expect(leg(rotatedLeg('prod', 100))).toMatchObject({
      name: 'prod',
      result: 'done',
      changed: true,
      proved: true,
      reEncrypted: 1240,
      problem: undefined,
      keyCreatedBefore: NOW - 100 * DAY,
      keyCreated: NOW,
      rotationDue: NOW + 90 * DAY
    })
    expect(leg(failedLeg('prod')).problem?.code).toBe('secrets-failed')
  })

  test('has the name of its entry, else of its artifact, else of its cluster', () => {
    const unnamed = legReport('prod', 1, { name: undefined })
    expect([leg(legReport('prod', 1), 'x').name, leg(unnamed, 'x').name, leg(unnamed).name]).toEqual([
      'prod',
      'x',
      'aks-prod'
    ])
  })

  test('whose report is cut off has failed; other JSON is none', () => {
    expect(readLeg('{"schemaVersion": 1, "res', 'prod')).toMatchObject({ name: 'prod', result: 'unreadable' })
    for (const text of [
      '{}',
      '[]',
      '1',
      '{"schemaVersion":2,"result":"done"}',
      '{"schemaVersion":1,"result":"great"}'
    ]) {
      expect(readLeg(text, 'prod')).toBeUndefined()
    }
  })
})

describe('a fleet', () => {
  test('has those that failed first, and those that never reported among them', () => {
    const all = fleet([legReport('b', 10), failedLeg('c'), legReport('a', 10)], ['a', 'b', 'c', 'd'])
    expect(all.clusters.map(({ name, result, failed }) => [name, result, failed])).toEqual([
      ['c', 'failed', true],
      ['d', 'missing', true],
      ['a', 'done', false],
      ['b', 'done', false]
    ])
  })

  test.each<[string, RunReport, boolean]>([
    ['refused', legReport('a', 1, { result: 'refused' }), true],
    ['cancelled', legReport('a', 1, { result: 'cancelled' }), true],
    ['planned', legReport('a', 1, { result: 'planned', dryRun: true }), false],
    ['due today', legReport('a', 90), false],
    ['overdue by two days', legReport('a', 92), true]
  ])('%s: failed is as it should be', (_, report, failed) => {
    expect(failedOf(fleet([report]))).toHaveLength(Number(failed))
  })

  test('takes the greatest age from the input where the report has none', () => {
    const report = legReport('a', 40, { rotationDueAt: undefined })
    expect([failedOf(fleet([report])).length, failedOf(fleet([report], undefined, 30 * DAY)).length]).toEqual([0, 1])
  })

  test('counts the latest of several reports of one name', () => {
    const again = { ...legReport('a', 1), startedAt: new Date(NOW).toISOString() }
    for (const reports of [
      [failedLeg('a'), again],
      [again, failedLeg('a')]
    ])
      expect(failedOf(fleet(reports))).toEqual([])
  })

  test('tells of a rotation that came too late', () => {
    const [late, inTime] = fleet([rotatedLeg('a', 120), rotatedLeg('b', 90)]).clusters
    expect([late?.late, inTime?.late, late?.failed]).toEqual([expect.closeTo(30 * DAY, -7), undefined, false])
    expect(render(fleet([rotatedLeg('a', 120)]))).toContain('**Rotated too late:** `a` by 29 days.')
  })
})

describe('the summary', () => {
  const mixed = fleet([legReport('b', 10), failedLeg('c'), rotatedLeg('a', 91)], ['a', 'b', 'c', 'd'])

  test('begins with the verdict and the totals', () => {
    expect(render(mixed).split('\n').slice(0, 3)).toEqual([
      '### ❌ 2 of 4 clusters failed.',
      '',
      '4 clusters · 1 changed · 1 proved · 1 nothing to do · 1 overdue · 1 never reported · 1,240 Secrets re-encrypted · [workflow run](https://github.com/contoso/platform/actions/runs/1)'
    ])
    expect(render(fleet([legReport('a', 1), legReport('b', 1)]))).toContain(
      '### ✅ All 2 clusters are as they should be.'
    )
    expect(render(fleet([legReport('a', 1)]))).toContain('### ✅ The one cluster is as it should be.')
    expect(render(fleet([], []))).toContain('### ✅ There was no cluster to work on.')
  })

  test('says of each that failed why, and what to do', () => {
    expect(render(mixed)).toMatch(
      /> \*\*\[`c`\]\(.+\)\*\* \[`secrets-failed`\]\(.+troubleshooting\.md#secrets-failed\): Its rotation is 7 days overdue\. 3 of 1,240 Secrets/
    )
    expect(render(mixed)).toContain('> **`d`**: It never reported.<br>**Fix:** Look at the job’s log')
  })

  test('has a row for each, and ages as a chart with the line of what is due', () => {
    expect(render(mixed)).toContain('actions/runs/1234567890) | ✅ unchanged | – | 10\u00a0days | 2027-02-10 | 0 |')
    expect(render(mixed)).toContain('| `d` | ❓ never reported | – | – | – | – |')
    expect(render(mixed)).toContain('x-axis ["c", "b", "a"]\n  y-axis 0 --> 97\n  bar [97, 10, 0]\n  line [90, 90, 90]')
  })

  test('of two hundred clusters fits, and of any number in what there is', () => {
    const many = fleet(Array.from({ length: 200 }, (_, i) => failedLeg(`cluster-${i}`)))
    expect(render(many, 65_536).length).toBeLessThanOrEqual(65_536)
    expect(render(many, 20_000).length).toBeLessThanOrEqual(20_000)
    expect(render(many, 65_536)).toContain('… and 150 more in the table.')
  })

  test('takes nothing of a report for markup', () => {
    const odd = fleet([legReport('a', 1, { result: 'failed', name: 'a"|<b>`', sentence: '<img src=x> @mona ](x)' })])
    expect(render(odd)).not.toMatch(/<img|@mona|<b>/)
    expect(render(odd)).toContain('x-axis ["ab"]')
  })
})

describe('the issue', () => {
  test('carries its mark, its summary and who failed, in what GitHub takes', () => {
    const many = fleet(Array.from({ length: 250 }, (_, i) => failedLeg(`cluster-${i}`)))
    const body = renderIssue(many, 'KMS <prod>', OPTIONS)
    expect(body.startsWith(issueMarker('KMS <prod>'))).toBe(true)
    expect(body.length).toBeLessThanOrEqual(65_536)
    expect(failedIn(body)).toHaveLength(250)
    expect(failedIn('something else')).toEqual([])
  })

  test('is commented on in a sentence', () => {
    const failed = failedOf(fleet([failedLeg('a')]))
    expect(newlyFailedComment(failed, OPTIONS)).toMatch(/^❌ Failed since the last run: `a`\. \[Workflow run\]/)
    expect(closingComment(fleet([legReport('a', 1), legReport('b', 1)]), OPTIONS)).toMatch(
      /^✅ All 2 clusters are green again\./
    )
  })
})
