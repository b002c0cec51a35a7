import { expect, test } from '@jest/globals'
import { KMS_OFF } from '../../src/model/kms-profile.ts'
import { outputsOf } from '../../src/report/outputs.ts'
import {
  failedOnSecrets,
  failedToSignIn,
  NEW_KEY,
  OLD_KEY,
  plannedPreparation,
  plannedRotation,
  preparedFromNothing,
  prepareStopped,
  report,
  retired,
  rotated,
  snapshot
} from '../fixtures/reports.ts'

test('a rotation gives both key versions and the numbers of the last proof', () => {
  const outputs = outputsOf(rotated(), '/tmp/report.json')
  expect(outputs).toMatchObject({
    changed: 'true',
    proved: 'true',
    'key-id-before': OLD_KEY,
    'key-id-after': NEW_KEY,
    'secrets-total': '2000',
    'secrets-re-encrypted': '2000',
    'secrets-already-current': '0',
    'secrets-failed': '0',
    'plan-hash': '',
    'comment-url': '',
    report: '/tmp/report.json'
  })
  expect(JSON.parse(outputs['security-profile-after'] ?? '')).toEqual(rotated().after?.securityProfile)
})

test('failures are counted', () => {
  expect(outputsOf(failedOnSecrets(), '')).toMatchObject({ changed: 'true', proved: 'false', 'secrets-failed': '60' })
})

test('what was not observed is empty', () => {
  expect(outputsOf(failedToSignIn(), '')).toEqual({
    changed: 'false',
    proved: 'false',
    'key-id': '',
    'key-vault-resource-id': '',
    'identity-resource-id': '',
    'key-id-before': '',
    'key-id-after': '',
    'security-profile-before': '',
    'security-profile-after': '',
    'secrets-total': '',
    'secrets-re-encrypted': '',
    'secrets-already-current': '',
    'secrets-failed': '',
    'next-rotation-due': '',
    'plan-hash': '',
    'comment-url': '',
    clusters: '',
    'clusters-count': '',
    report: ''
  })
})

test('the next rotation is due when the key version at the end reaches its age', () => {
  expect(outputsOf(retired(), '')['next-rotation-due']).toBe('2027-02-20T03:17:20.000Z')
})

test('KMS off is an empty key id with a security profile', () => {
  const outputs = outputsOf(report({ after: snapshot(KMS_OFF) }), '')
  expect(outputs['key-id-after']).toBe('')
  expect(outputs['security-profile-after']).toContain('"azureKeyVaultKms":{"enabled":false}')
})

test('what was prepared is given once all of it is ready', () => {
  const ids = { 'key-id': NEW_KEY, 'key-vault-resource-id': expect.stringMatching(/contoso-etcd-kv$/) }
  expect(outputsOf(preparedFromNothing(), '')).toMatchObject(ids)
  expect(outputsOf(preparedFromNothing(), '')['identity-resource-id']).toMatch(/id-prod-weu$/)
  for (const unready of [prepareStopped(), plannedPreparation()]) {
    expect(outputsOf(unready, '')).toMatchObject({
      'key-id': '',
      'key-vault-resource-id': '',
      'identity-resource-id': ''
    })
  }
})

test('a dry run gives the hash of its plan', () => {
  expect(outputsOf(plannedRotation(), '')['plan-hash']).toBe(plannedRotation().plan?.hash)
})
