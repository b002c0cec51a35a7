import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { EncryptionConfiguration, EncryptionProvider } from '../../testbed/contract.ts'
import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import { startEmbeddedControlPlane, type EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { startNetwork, type Network } from '../../testbed/network.ts'
import { runAction, type RunResult } from '../../testbed/runner/run-action.ts'
import { canaryTraces, compareContents, demoSecrets } from '../../testbed/seed.ts'
import { inMemoryVault } from '../conformance/vault.ts'
import { expectGreen, expectRed, expectStored, LOCK, lockHolder, readable, recordOf } from './expectations.ts'
import { kubeconfigOfAdministrator, kubeconfigWithToken } from './kubeconfigs.ts'
import { expectReencryptedAfterChange } from './re-encryption.ts'

const SECRETS = 40
const seeds = demoSecrets({ secrets: SECRETS, namespaces: 5 })

describe('a cluster of Azure', () => {
  let bed: Bed<EmbeddedControlPlane>
  beforeAll(async () => {
    bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
  })
  afterAll(() => bed.stop())

  test('after somebody else has changed the key: every Secret is under it, and the record knows', async () => {
    const [first = ''] = bed.keyIds()
    const keyId = await bed.addKeyVersion()
    const { proofs } = await expectReencryptedAfterChange(bed, seeds, { from: first, to: keyId })
    expect(proofs[0]?.evidence).toMatchObject({ basis: 'metrics', servers: [{ state: 'current' }] })
    expect(await lockHolder(bed)).toBe('')
  })

  test('what another operation has begun stays begun, and is named', async () => {
    const kill = new AbortController()
    bed.azure.disturb({ method: 'GET', url: /\/operations\//, meanwhile: () => kill.abort() })
    await bed.run('disable', {}, { kill: kill.signal })
    await bed.controlPlane.request('DELETE', LOCK)
    const { goal } = (await recordOf(bed)) ?? {}
    expect(goal).toContain('"disable"')
    const report = expectGreen(await bed.run('re-encrypt'))
    expect(report.findings).toEqual([expect.objectContaining({ severity: 'note', code: 'operation-unfinished' })])
    expect(report.findings[0]?.message).toContain('`disable`')
    await expectStored(bed, seeds, 'identity')
    expect(await recordOf(bed)).toMatchObject({ goal, provedKeyId: 'identity' })
    expect(expectGreen(await bed.run('disable')).sentence).toContain('Finished the interrupted disable')
  })

  test('a dry run says that nothing will be changed', async () => {
    const report = expectGreen(await bed.run('re-encrypt', { 'dry-run': 'true' }))
    expect(report.plan?.steps.map(({ kind }) => kind)).toEqual(['prove-secrets'])
  })

  test('without a cluster or a kubeconfig the way out is named', async () => {
    const { error } = expectRed(await bed.run('re-encrypt', { 'cluster-name': '' }), 'input-missing')
    expect(error?.message).toMatch(/cluster-name.*`kubeconfig` alone/)
  })
})

describe('any cluster, by its kubeconfig alone', () => {
  const fileKey = (keyName: string): EncryptionProvider => ({
    kind: 'aescbc',
    keyName,
    secret: Buffer.from(keyName.padEnd(32, '.')).toString('base64')
  })
  const slot = (name: string): EncryptionProvider => ({
    kind: 'kms',
    apiVersion: 'v2',
    name,
    keyId: `https://kms.platform.example/keys/etcd/${name}`
  })

  let controlPlane: EmbeddedControlPlane
  let network: Network
  beforeAll(async () => {
    network = await startNetwork({ certificateAuthority: await createCertificateAuthority() })
    controlPlane = await startEmbeddedControlPlane({
      keyOperations: inMemoryVault(),
      authenticateToken: (token) =>
        token === 'operator' ? { username: token, groups: ['aks-kms-operators'] } : undefined,
      encryption: [{ kind: 'identity' }]
    })
    await controlPlane.seed(seeds)
  })
  afterAll(async () => {
    await controlPlane.stop()
    await network.close()
  })

  /** Nothing of Azure or GitHub is set, and the only way out leads nowhere. */
  const run = (inputs: Readonly<Record<string, string>> = {}): Promise<RunResult> =>
    runAction({
      inputs: { operation: 're-encrypt', kubeconfig: kubeconfigOfAdministrator(controlPlane), ...inputs },
      env: { HTTPS_PROXY: network.proxyUrl, NO_PROXY: '127.0.0.1' }
    })

  async function expectProved(result: RunResult, reEncrypted: number, provider: string): Promise<void> {
    const report = expectGreen(result)
    expect(report).toMatchObject({
      cluster: new URL(controlPlane.server).host,
      changed: false,
      proved: true,
      keys: [],
      findings: []
    })
    expect(report).not.toHaveProperty('before')
    expect(report).not.toHaveProperty('after')
    expect(result.outputs).toMatchObject({
      changed: 'false',
      proved: 'true',
      'key-id-before': '',
      'key-id-after': '',
      'security-profile-after': '',
      'secrets-total': String(SECRETS),
      'secrets-re-encrypted': String(reEncrypted)
    })
    expect(new Set((await controlPlane.storedSecrets()).map((secret) => secret.provider))).toEqual(new Set([provider]))
    expect(await compareContents(controlPlane, seeds)).toEqual([])
    expect([...network.connected, ...network.refused]).toEqual([])
    const shown = [readable(result.log), result.summary, result.report].join('\n')
    for (const trace of canaryTraces) expect(shown).not.toContain(trace)
  }

  test.each<[string, EncryptionConfiguration, string, RegExp]>([
    [
      'a key in a file',
      [fileKey('first'), { kind: 'identity' }],
      'k8s:enc:aescbc:v1:first',
      /\*\*By passes alone:\*\* `\/metrics` names no key, as with keys in local files/
    ],
    [
      'another key in a file',
      [fileKey('second'), fileKey('first')],
      'k8s:enc:aescbc:v1:second',
      /\*\*By passes alone:\*\* `\/metrics` names no key, as with keys in local files/
    ],
    [
      'a key of KMS',
      [slot('vault'), fileKey('second')],
      'k8s:enc:kms:v2:vault',
      /\*\*By passes and agreement:\*\* the API server that answered last wrote under the key `[0-9a-f]{8}…` of `\/metrics`/
    ]
  ])('under %s', async (_, encryption, provider, said) => {
    await controlPlane.roll(encryption)
    const result = await run()
    await expectProved(result, SECRETS, provider)
    expect(result.summary).toMatch(said)
    expect(result.summary).toContain('are proved to be as the API servers would write them now')
    await expectProved(await run(), 0, provider)
  })

  test('a Secret that can’t be written is named, and how to go on', async () => {
    const [one] = seeds
    if (one === undefined) throw new Error('no seeds')
    await controlPlane.roll([fileKey('third'), slot('vault')])
    const admit = controlPlane.faults.denyByWebhook(one.namespace, one.name)
    const result = await run()
    admit()
    const report = expectRed(result, 'secrets-failed')
    expect(report.proofs[0]?.failures).toMatchObject([{ namespace: one.namespace, name: one.name, status: 403 }])
    expect(result.summary).toMatch(/\*\*State:\*\* this run changed nothing but how Secrets are stored/)
    expect(result.summary).toMatch(/run it again with the same inputs \(`operation: re-encrypt`, `kubeconfig`\)/)
    await expectProved(await run(), 1, 'k8s:enc:aescbc:v1:third')
  })

  test('without the rights: what to grant is named, and nothing of Azure', async () => {
    const allow = controlPlane.faults.forbid(({ verb }) => verb === 'patch')
    const kubeconfig = kubeconfigWithToken(controlPlane, 'operator')
    const { error, steps } = expectRed(await run({ kubeconfig }), 'secrets-forbidden')
    allow()
    expect(error?.message).toMatch(/: patch secrets\.$/)
    expect(error?.fix).toContain('docs/kubernetes-rbac.yml')
    expect(steps).toEqual([])
  })

  test('an input of Azure’s that would not be heeded is refused', async () => {
    const { error } = expectRed(await run({ 'resource-group': 'platform' }), 'input-invalid')
    expect(error?.message).toContain('resource-group')
  })
})
