import { expect, test } from '@jest/globals'
import { finding, refusal } from '../../src/model/finding.ts'
import { annotationsOf } from '../../src/report/annotations.ts'
import { failedToSignIn, refusedForKey, rejectedInputs, report, rotated } from '../fixtures/reports.ts'

const DOCS = 'https://github.com/contoso/kms/blob/v1/docs'

test('an error comes with its fix and a link', () => {
  expect(annotationsOf(failedToSignIn(), DOCS)).toEqual([
    {
      level: 'error',
      title: 'rotate on prod-westeurope: federated-credential-mismatch',
      message: `${failedToSignIn().sentence}\nFix: Create the federated credential shown in the message.\n${DOCS}/troubleshooting.md#federated-credential-mismatch`
    }
  ])
})

test('without a cluster the title names none', () => {
  expect(annotationsOf(rejectedInputs(), DOCS)[0]?.title).toBe('rotat: operation-unknown')
  expect(annotationsOf({ ...rejectedInputs(), operation: '' }, DOCS)[0]?.title).toBe('operation-unknown')
})

test('refusals are errors, warnings are warnings, and notes are notices, in this order', () => {
  const refused = refusedForKey()
  const findings = [finding('note', 'key-must-stay'), finding('warning', 'record-forbidden'), ...refused.findings]
  expect(annotationsOf({ ...refused, findings }, DOCS).map(({ level }) => level)).toEqual([
    'error',
    'error',
    'warning',
    'notice'
  ])
})

test('a refusal that is also the error is annotated once', () => {
  const findings = [refusal('key-expired', 'It expired.')]
  const error = { code: 'key-expired', message: 'It expired.', fix: 'Extend it.' } as const
  expect(annotationsOf(report({ result: 'refused', error, findings }), DOCS)).toHaveLength(1)
})

test('of more than ten of a level the tenth says how many are left', () => {
  const findings = Array.from({ length: 25 }, (_, i) => finding('warning', 'key-must-stay', `Key ${String(i)}.`))
  const annotations = annotationsOf({ ...rotated(), findings }, DOCS)
  expect(annotations).toHaveLength(10)
  expect(annotations.at(-1)).toEqual({
    level: 'warning',
    title: 'rotate on prod-westeurope',
    message: '16 more: see the summary of this job.'
  })
  expect(annotationsOf({ ...rotated(), findings: findings.slice(0, 10) }, DOCS).at(-1)?.message).toContain('Key 9.')
})

test('a long message is cut, its fix and link are not', () => {
  const findings = [finding('warning', 'azure-request-failed', 'x'.repeat(10_000))]
  const [annotation] = annotationsOf({ ...rotated(), findings }, DOCS)
  expect(annotation?.message).toHaveLength(4096)
  expect(annotation?.message).toMatch(/x…\nFix: .*\nhttps:.*#azure-request-failed$/)
})

test('a green run without findings is silent', () => {
  expect(annotationsOf(report(), DOCS)).toEqual([])
})
