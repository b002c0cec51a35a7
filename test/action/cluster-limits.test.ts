import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import type { RunReport } from '../../src/model/report.ts'
import { replaceAt, textAt, type Json } from '../../testbed/azure/json.ts'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import type { SeenRequest } from '../../testbed/embedded-apiserver/faults.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { secretsOf } from '../fixtures/embedded-cluster.ts'
import { expectGreen, expectRed, expectRefused, expectStored, lockHolder, readable, recordOf } from './expectations.ts'
import { kubeconfigOfNobody, kubeconfigWithToken } from './kubeconfigs.ts'

/** The limits that lie in the cluster: each one found before anything is changed. */

const seeds = demoSecrets({ secrets: 12, namespaces: 3 })
const ACCESS = ['properties', 'apiServerAccessProfile']
const SECURITY = ['properties', 'securityProfile']

let bed: Bed<EmbeddedControlPlane>
const undo: (() => void)[] = []

beforeAll(async () => {
  bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
})
afterAll(() => bed.stop())

function change(path: readonly string[], value: Json): void {
  const before = bed.cluster.body
  bed.cluster.change((body) => replaceAt(body, path, value))
  undo.push(() => bed.cluster.change(() => before))
}

async function undone<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } finally {
    for (const one of undo.splice(0)) one()
  }
}

describe('rights in Kubernetes', () => {
  const isOf = (verb: string, plural: string) => (request: SeenRequest) =>
    request.verb === verb && request.plural === plural
  const forbid = (...rights: readonly (readonly [string, string])[]): void => {
    for (const [verb, plural] of rights) undo.push(bed.controlPlane.faults.forbid(isOf(verb, plural)))
  }

  test.each([
    ['list namespaces', [['list', 'namespaces']]],
    ['list secrets', [['list', 'secrets']]],
    ['patch secrets', [['patch', 'secrets']]],
    [
      'list namespaces, list secrets, patch secrets',
      [
        ['list', 'namespaces'],
        ['list', 'secrets'],
        ['patch', 'secrets']
      ]
    ]
  ] as const)('without %s', async (said, rights) => {
    forbid(...rights)
    const holder = await lockHolder(bed)
    const { error, steps, result } = await undone(expectRefused(bed, 'secrets-forbidden', 'rotate', {}))
    expect(result).toBe('refused')
    expect(error?.message).toMatch(new RegExp(`all namespaces: ${said}\\.$`))
    expect(error?.fix).toContain(
      `--role "Azure Kubernetes Service RBAC Writer" --scope ${textAt(bed.cluster.body, 'id')}`
    )
    // Neither a new key version nor the lock: nothing at all was begun.
    expect(steps).toEqual([])
    expect(bed.keyIds()).toHaveLength(1)
    expect(await lockHolder(bed)).toBe(holder)
  })

  test('that can’t be asked for are found to lack by the first pass', async () => {
    forbid(['patch', 'secrets'])
    const review = { when: ({ plural }: SeenRequest) => plural === 'selfsubjectaccessreviews', times: 3 }
    bed.controlPlane.faults.inject({ kind: 'replaced', status: 403, headers: {}, body: 'no' }, review)
    const { result, sentence } = await undone(expectRefusedInPass('secrets-forbidden'))
    expect(result).toBe('failed')
    expect(sentence).toContain('cannot patch resource')
  })

  test('that an authorizer could not say are not taken to lack', async () => {
    const body = JSON.stringify({ status: { allowed: false, evaluationError: 'webhook: context deadline exceeded' } })
    const headers = { 'content-type': 'application/json' }
    const review = { when: ({ plural }: SeenRequest) => plural === 'selfsubjectaccessreviews', times: 3 }
    const asked = bed.controlPlane.faults.inject({ kind: 'replaced', status: 201, headers, body }, review)
    expectGreen(await bed.run('enable', { 'key-id': bed.keyIds()[0] ?? '' }))
    expect(asked.struck).toBe(3)
  })

  async function expectRefusedInPass(code: Code): Promise<RunReport> {
    const writes = bed.azure.writes.length
    const report = expectRed(await bed.run('disable'), code)
    expect(bed.azure.writes).toHaveLength(writes)
    return report
  }
})

describe('KMS data encryption', () => {
  test.each([
    ['platform-key', false, /key of the platform/],
    ['customer-key', true, /follows the key .*\/keys\/etcd: .* within 6 hours/]
  ] as const)('%s: there is nothing to change, and re-encrypt works', async (dataEncryption, enabled, said) => {
    const keyId = bed.keyIds()[0] ?? ''
    change(SECURITY, {
      azureKeyVaultKms: enabled ? { enabled, keyId: keyId.slice(0, keyId.lastIndexOf('/')) } : { enabled },
      kubernetesResourceObjectEncryptionProfile: { infrastructureEncryption: 'Enabled' }
    })
    const refusals = ['enable', 'rotate', 'disable', 'migrate-v2'].map((operation) =>
      expectRefused(bed, 'kms-data-encryption', operation, operation === 'enable' ? { 'key-id': keyId } : {})
    )
    const [record, reports, result] = await undone(
      (async () => [await recordOf(bed), await Promise.all(refusals), await bed.run('re-encrypt')] as const)()
    )
    for (const { sentence } of reports) expect(sentence).toMatch(said)
    const report = expectGreen(result)
    expect(report.after?.dataEncryption).toBe(dataEncryption)
    expect(report.proofs[0]).toMatchObject({ proved: true, counts: { alreadyCurrent: seeds.length } })
    expect(result.summary).toContain('are proved to be as KMS data encryption would write them now')
    expect(await recordOf(bed)).toEqual(record)
  })
})

describe('an API server that this runner can’t reach', () => {
  // An address that lets nobody in is tried for half a minute: the others wait beside it.
  let authorizedRanges: Promise<void>
  beforeAll(() => {
    authorizedRanges = (async () => {
      const profile = { enableVnetIntegration: true, authorizedIPRanges: ['203.0.113.0/24', '198.51.100.7/32'] }
      const edit = (body: Parameters<typeof replaceAt>[0]) => replaceAt(body, ACCESS, profile)
      const own = await startEmbeddedBed({ kms: true, timeScale: 0.001, cluster: { edit } })
      try {
        const kubeconfig = kubeconfigOfNobody(own)
        const { error } = await expectRefused(own, 'api-server-authorized-ranges', 'rotate', { kubeconfig })
        expect(error?.message).toMatch(/127\.0\.0\.1:1 did not answer.*203\.0\.113\.0\/24, 198\.51\.100\.7\/32/)
        expect(error?.fix).toContain('az aks update')
        expect(error?.fix).toContain('203.0.113.0/24,198.51.100.7/32,<address>/32')
      } finally {
        await own.stop()
      }
    })()
    authorizedRanges.catch(() => {})
  })

  test.each([
    ['by a private endpoint', { enablePrivateCluster: true }, /private endpoint/],
    ['by VNet integration', { enablePrivateCluster: true, enableVnetIntegration: true }, /VNet integration/]
  ])('of a cluster that is private %s', async (_, profile, said) => {
    change(ACCESS, profile)
    const host = 'aks.privatelink.westeurope.invalid'
    const kubeconfig = kubeconfigWithToken(bed.controlPlane, 'x').replace(/127\.0\.0\.1:\d+/, host)
    // What is not for the bed's proxy is looked up by its name, which nobody knows here.
    const env = { NO_PROXY: `127.0.0.1,${host}` }
    const { error, result } = await undone(expectRefused(bed, 'api-server-private', 'rotate', { kubeconfig }, env))
    expect(result).toBe('refused')
    expect(error?.message).toMatch(said)
    expect(error?.fix).toMatch(/self-hosted.*`kubeconfig`.*`az aks command invoke` is no way/)
  })

  test('because it admits other addresses only', () => authorizedRanges, 60_000)
})

test('local accounts are disabled, and there is no Entra', async () => {
  const { objectId } = bed.azure.application
  bed.azure.permissions.grant(objectId, 'Azure Kubernetes Service Cluster Admin Role', bed.cluster.id)
  change(['properties', 'aadProfile'], null)
  change(['properties', 'disableLocalAccounts'], true)
  const { error } = await undone(expectRefused(bed, 'local-accounts-disabled', 'rotate', {}))
  expect(error?.fix).toMatch(/Entra.*`kubeconfig`/)
})

describe('KMS v1 with more than 2,000 Secrets', () => {
  let old: Bed<EmbeddedControlPlane>
  beforeAll(async () => {
    old = await startEmbeddedBed({
      timeScale: 0.001,
      secrets: secretsOf({ one: 2_000, two: 1 }),
      cluster: { kubernetesVersion: '1.26.6' }
    })
  })
  afterAll(() => old.stop())

  test('is not switched on', async () => {
    const { error } = await expectRefused(old, 'kms-v1-too-many-secrets', 'enable', { 'key-id': old.keyIds()[0] ?? '' })
    expect(error?.message).toMatch(/2,001 Secrets.*1\.26\.6/)
    expect(error?.fix).toContain('1.27')
  })

  test('where it is on, a run goes slowly, and says so', async () => {
    await old.cluster.changeKms({ enabled: true, keyId: old.keyIds()[0] ?? '', keyVaultNetworkAccess: 'Public' })
    const times: number[] = []
    const cancel = new AbortController()
    const stop = old.controlPlane.faults.observe(({ request }) => {
      if (request.verb === 'patch' && times.push(performance.now()) === 25) cancel.abort()
    })
    const result = await old.run('migrate-v2', { 'max-requests-per-second': '500' }, { cancel: cancel.signal })
    stop()
    const report = expectRed(result, 'cancelled')
    const seconds = ((times[24] ?? NaN) - (times[0] ?? NaN)) / 1000
    expect(24 / seconds).toBeLessThan(10.5)
    expect(24 / seconds).toBeGreaterThan(7)
    expect(report.findings).toEqual([expect.objectContaining({ severity: 'warning', code: 'kms-v1-slow' })])
    expect(readable(result.log)).toMatch(/About 2,001 Secrets are more than the 2,000.*10 a second/)
  })
})

describe('a second change of key on top of one that is not proved', () => {
  test('is impossible: whatever is asked for ends red before Azure is written to, and says which key must stay', async () => {
    const own = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
    try {
      const [first = ''] = own.keyIds()
      const [one] = seeds
      if (one === undefined) throw new Error('no seeds')
      own.azure.disturb({
        method: 'PUT',
        url: /managedClusters\/[^/]+$/,
        meanwhile: () => void undo.push(own.controlPlane.faults.denyByWebhook(one.namespace, one.name))
      })
      expectRed(await own.run('rotate'), 'secrets-failed')
      const [, second = ''] = own.keyIds()
      const third = await own.addKeyVersion()
      const writes = own.azure.writes.length

      const asked: readonly (readonly [Code, string, Readonly<Record<string, string>>])[] = [
        ['secrets-failed', 'rotate', { 'key-id': third }],
        ['secrets-failed', 'rotate', { 'key-id': first }],
        ['secrets-failed', 'disable', {}],
        // The goal of the rotation is no longer in the record then, and a rotation begins anew: with a proof.
        ['secrets-failed', 'rotate', { 'key-id': third }],
        ['secrets-failed', 'enable', { 'key-id': second }],
        ['kms-on-with-another-key', 'enable', { 'key-id': third }]
      ]
      for (const [code, operation, inputs] of asked) {
        const report = expectRed(await own.run(operation, inputs), code)
        expect([operation, inputs, own.azure.writes.slice(writes)]).toEqual([operation, inputs, []])
        if (code !== 'secrets-failed') continue
        const kept = report.keys.filter(({ state }) => state !== 'may-be-retired').map(({ keyId }) => keyId)
        expect([operation, inputs, kept]).toEqual([operation, inputs, expect.arrayContaining([first, second])])
      }
      expect(own.cluster.slots.keys).toEqual([first, second])

      for (const one of undo.splice(0)) one()
      expectGreen(await own.run('rotate', { 'key-id': third }))
      await expectStored(own, seeds, third)
    } finally {
      await own.stop()
    }
  })
})
