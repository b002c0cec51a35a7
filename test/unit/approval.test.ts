import { describe, expect, test } from '@jest/globals'
import { embedPlan, extractPlan, planMarker, type ApprovedPlan } from '../../src/model/approved-plan.ts'
import { changesNothing, checkApproval } from '../../src/model/approval.ts'
import { EMPTY_RECORD, type Goal } from '../../src/model/goal.ts'
import { KMS_OFF, type KmsProfile } from '../../src/model/kms-profile.ts'
import { diffPlans } from '../../src/model/plan-diff.ts'
import type { Plan } from '../../src/model/report.ts'
import { makePlan } from '../../src/plan.ts'
import { clusterWith, keyDetails, keyVersion, kmsOn, observedWith, requestFor } from '../fixtures/observed.ts'

const [K1, K2, K3] = [keyVersion(1), keyVersion(2), keyVersion(3)]
const KEYS = [K1, K2, K3].map((id) => keyDetails(id))
const URL = 'https://github.com/contoso/platform/pull/7#issuecomment-1'

function observed(kms: KmsProfile) {
  return observedWith(clusterWith(kms), KEYS)
}

function rotation(from = K1, to = K2): Plan {
  return makePlan(requestFor('rotate', { key: to }), observed(kmsOn(from))).plan
}

function approved(plan: Plan): ApprovedPlan {
  const found = extractPlan(`${planMarker('rotate', '/x')}\n\ntext\n\n${embedPlan(plan)}\n`, URL)
  if (found === undefined) throw new Error('no plan')
  return found
}

describe('a plan in a comment', () => {
  test('is read as it was written', () => {
    const plan = rotation()
    expect(approved(plan)).toMatchObject({ hash: plan.hash, url: URL, content: { basis: { operation: 'rotate' } } })
    expect(approved(plan).content?.titles).toHaveLength(3)
  })

  test.each<[string, (line: string) => string]>([
    ['is missing', () => ''],
    ['is cut off', (line) => line.slice(0, 200)],
    ['is no JSON', () => '<!-- kms-etcd-encryption:plan-data bm8gSlNPTg== -->'],
    [
      'does not add up',
      (line) => {
        const data = JSON.parse(Buffer.from(line.split(' ')[2] ?? '', 'base64').toString()) as {
          basis: { keyId: string }
        }
        data.basis.keyId = K3.url
        return `<!-- kms-etcd-encryption:plan-data ${Buffer.from(JSON.stringify(data)).toString('base64')} -->`
      }
    ]
  ])('that %s is none', (_, change) => {
    expect(extractPlan(change(embedPlan(rotation())), URL)).toBeUndefined()
  })

  test('names its cluster so that nothing in the name ends the comment', () => {
    expect(planMarker('rotate', '/subscriptions/x/resourceGroups/RG--(ä)>/y')).toBe(
      '<!-- kms-etcd-encryption:plan operation=rotate cluster=/subscriptions/x/resourcegroups/rg--(%C3%A4)%3E/y -->'
    )
  })
})

describe('an approved plan', () => {
  test('is granted by its hash', () => {
    expect(checkApproval(approved(rotation()), rotation(), observed(kmsOn(K1)))).toMatchObject({ kind: 'granted' })
  })

  test('is refused with what differs', () => {
    const verdict = checkApproval(approved(rotation(K1, K2)), rotation(K1, K3), observed(kmsOn(K1)))
    if (verdict.kind !== 'refused') throw new Error('granted')
    expect(verdict.finding.code).toBe('plan-changed')
    expect(verdict.finding.message.split('\n')).toEqual([
      expect.stringMatching(
        /^Approved in https:.+ was [0-9a-f]{12}…; now it would be [0-9a-f]{12}…\. Nothing was changed\.$/
      ),
      expect.stringMatching(`^Approved: Set .*→.*${K2.version}`),
      expect.stringMatching(`^Now: Set .*→.*${K3.version}`)
    ])
    expect(verdict.diff.map(({ mark }) => mark).join('')).toBe('    -+ ')
  })

  test('of which only the hash is known is refused with the present plan', () => {
    const verdict = checkApproval(
      { hash: 'a'.repeat(64), url: undefined, content: undefined },
      rotation(),
      observed(kmsOn(K1))
    )
    if (verdict.kind !== 'refused') throw new Error('granted')
    expect(new Set(verdict.diff.map(({ mark }) => mark))).toEqual(new Set('+'))
  })

  test('is not needed for what changes nothing in Azure', () => {
    const proofOnly = makePlan(requestFor('re-encrypt'), observed(kmsOn(K1))).plan
    expect([changesNothing(proofOnly), changesNothing(rotation())]).toEqual([true, false])
  })
})

describe('an interrupted run of an approved plan', () => {
  const plan = makePlan(requestFor('rotate'), observedWith(clusterWith(kmsOn(K1)), [keyDetails(K1)])).plan
  const goal: Goal = { operation: 'rotate', kms: kmsOn(K2), fromKeyId: K1.url, kubernetesVersion: undefined }

  function verdict(kms: KmsProfile, { under = plan.hash, of = goal } = {}): string {
    const state = {
      ...observed(kms),
      record: { ...EMPTY_RECORD, goal: of, approvedPlan: under },
      goal: { goal: of, fromEarlierRun: true }
    }
    return checkApproval(approved(plan), rotation(K1, K2), state).kind
  }

  test('may be finished from its start and from its end', () => {
    expect([verdict(kmsOn(K1)), verdict(kmsOn(K2))]).toEqual(['granted', 'granted'])
  })

  test('may not go on where somebody changed the cluster in between', () => {
    expect([verdict(kmsOn(K3)), verdict(KMS_OFF)]).toEqual(['refused', 'refused'])
  })

  test('is no excuse for another plan', () => {
    expect(verdict(kmsOn(K1), { under: 'b'.repeat(64) })).toBe('refused')
  })

  test('may be met with KMS off where its operation switches it off on the way', () => {
    expect(verdict(KMS_OFF, { of: { ...goal, operation: 'migrate-v2' } })).toBe('granted')
  })
})

test('plans that read the same are compared in what is not shown of them', () => {
  const content = approved(rotation()).content
  if (content === undefined) throw new Error('no content')
  const steps = content.basis.steps.map((step) => ({ ...step, more: 1 }))
  const diff = diffPlans(content, { ...content, basis: { ...content.basis, steps } })
  expect(diff.filter(({ mark }) => mark === '+').map(({ text }) => text)).toHaveLength(3)
  expect(diff[0]?.text).toContain('"kind"')
})
