import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import { startEmbeddedBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectRefused } from './expectations.ts'
import { kubeconfigOfNobody, kubeconfigWithToken } from './kubeconfigs.ts'

const seeds = demoSecrets({ secrets: 10, namespaces: 2 })
const NOBODY = '99999999-9999-4999-8999-999999999999'

let off: Bed<EmbeddedControlPlane>
let on: Bed<EmbeddedControlPlane>

beforeAll(async () => {
  ;[off, on] = await Promise.all([
    startEmbeddedBed({ timeScale: 0.001, secrets: seeds }),
    startEmbeddedBed({ kms: true, timeScale: 0.001, secrets: seeds })
  ])
})
afterAll(async () => {
  await Promise.all([off.stop(), on.stop()])
})

describe('inputs', () => {
  const keyId = (path: string): string => `https://kv-platform.vault.azure.net/${path}`

  test.each<[string, Code, string, Inputs]>([
    ['no operation', 'input-missing', '', {}],
    ['an unknown operation', 'operation-unknown', 'Rotate', {}],
    ['enable without key-id', 'input-missing', 'enable', {}],
    ['a key id that is none', 'key-id-malformed', 'enable', { 'key-id': 'kv-platform/etcd' }],
    ['a key id of another form', 'key-id-malformed', 'rotate', { 'key-id': keyId('keys/etcd/1/2') }],
    ['a versionless key id', 'key-id-versionless', 'enable', { 'key-id': keyId('keys/etcd') }],
    ['a secret', 'key-id-not-a-key', 'enable', { 'key-id': keyId('secrets/etcd/abc') }],
    ['a Managed HSM', 'key-id-managed-hsm', 'enable', { 'key-id': 'https://hsm.managedhsm.azure.net/keys/etcd/abc' }],
    [
      'another cloud’s vault',
      'key-id-other-cloud',
      'enable',
      { 'key-id': 'https://kv-x.vault.azure.cn/keys/etcd/abc' }
    ],
    ['disable with a key', 'input-invalid', 'disable', { 'key-id': keyId('keys/etcd/abc') }],
    ['max-key-age elsewhere', 'input-invalid', 'disable', { 'max-key-age': '90d' }],
    ['a max-key-age without unit', 'input-invalid', 'rotate', { 'max-key-age': '90' }],
    ['a boolean that only looks like one', 'input-invalid', 'rotate', { 'dry-run': 'yes' }],
    ['a Kubernetes version below 1.27', 'input-invalid', 'migrate-v2', { 'kubernetes-version': '1.26' }],
    ['a subscription that is no GUID', 'input-invalid', 'rotate', { 'subscription-id': 'production' }],
    ['Private without the vault’s id', 'input-missing', 'rotate', { 'key-vault-network-access': 'Private' }],
    ['a vault’s id with Public', 'input-invalid', 'rotate', { 'key-vault-resource-id': '/subscriptions/x' }],
    ['an unknown cloud', 'input-invalid', 'rotate', { 'azure-cloud': 'AzureGermanCloud' }],
    ['an unknown credential', 'input-invalid', 'rotate', { credential: 'secret' }],
    ['a zero time limit', 'input-invalid', 'rotate', { 'timeout-minutes': '0' }],
    ['no client id', 'input-missing', 'rotate', { 'client-id': '' }],
    ['a kubeconfig that is not there', 'kubeconfig-invalid', 'rotate', { kubeconfig: 'no/such/file' }],
    ['a kubeconfig that is none', 'kubeconfig-invalid', 'rotate', { kubeconfig: 'some:\n  yaml: text' }]
  ])('%s', async (_name, code, operation, inputs) => {
    await expectRefused(on, code, operation, inputs)
  })
})

describe('the key', () => {
  test('EC', async () => {
    const key = await off.vault.addKey('elliptic', { type: 'EC', operations: ['sign', 'verify'] })
    await expectRefused(off, 'key-not-rsa', 'enable', { 'key-id': key.id })
  })

  test('without decrypt', async () => {
    const key = await off.vault.addKey('wrapping', { operations: ['encrypt', 'wrapKey', 'unwrapKey'] })
    await expectRefused(off, 'key-lacks-operations', 'enable', { 'key-id': key.id })
  })

  test('disabled', async () => {
    const key = await off.vault.addKey('disabled', { enabled: false })
    await expectRefused(off, 'key-disabled', 'enable', { 'key-id': key.id })
  })

  test('expired', async () => {
    const key = await off.vault.addKey('expired', { created: 1_700_000_000, expires: 1_750_000_000 })
    const { sentence } = await expectRefused(off, 'key-expired', 'enable', { 'key-id': key.id })
    expect(sentence).toContain('2025-06-15')
  })

  test('not yet valid', async () => {
    const key = await off.vault.addKey('early', { notBefore: 4_000_000_000 })
    await expectRefused(off, 'key-not-yet-valid', 'enable', { 'key-id': key.id })
  })

  test('not there', async () => {
    await expectRefused(off, 'key-not-found', 'enable', { 'key-id': `${off.vault.url}/keys/etcd/${'0'.repeat(32)}` })
  })

  test('in a vault that is not there', async () => {
    await expectRefused(off, 'key-vault-unreachable', 'enable', {
      'key-id': `https://kv-nowhere.vault.azure.net/keys/etcd/${'0'.repeat(32)}`
    })
  })

  test('of a vault that the workflow may not read', async () => {
    const vault = off.azure.addVault()
    const key = await vault.addKey('etcd')
    await expectRefused(off, 'key-forbidden', 'enable', { 'key-id': key.id })
  })

  test('on already with another one', async () => {
    await expectRefused(on, 'kms-on-with-another-key', 'enable', { 'key-id': await on.addKeyVersion() })
  })
})

describe('the cluster', () => {
  test('is not there', async () => {
    // Who has roles on the cluster alone is told by Azure that they may not, of whatever else they name.
    const { sentence } = await expectRefused(on, 'authorization-failed', 'rotate', { 'cluster-name': 'elsewhere' })
    expect(sentence).toContain('managedClusters/elsewhere')
    on.azure.permissions.grant(on.azure.application.objectId, 'Reader', `/subscriptions/${on.azure.subscriptionId}`)
    await expectRefused(on, 'cluster-not-found', 'rotate', { 'cluster-name': 'elsewhere' })
    await expectRefused(on, 'resource-group-not-found', 'rotate', { 'resource-group': 'elsewhere' })
  })

  test('is in no such subscription', async () => {
    await expectRefused(on, 'subscription-not-found', 'rotate', { 'subscription-id': NOBODY })
  })

  test('is in another tenant’s subscription', async () => {
    const subscription = on.azure.addSubscription(on.azure.entra.addTenant())
    await expectRefused(on, 'tenant-mismatch', 'rotate', { 'subscription-id': subscription })
  })

  test('has no KMS to rotate', async () => {
    await expectRefused(off, 'kms-off', 'rotate', {})
    await expectRefused(off, 'kms-off', 'migrate-v2', {})
  })

  test('is stopped', async () => {
    on.cluster.setPowerState('Stopped')
    await expectRefused(on, 'cluster-stopped', 'rotate', {})
    on.cluster.setPowerState('Running')
  })

  test('has failed', async () => {
    on.cluster.setProvisioningState('Failed')
    await expectRefused(on, 'cluster-failed', 'rotate', {})
    // Also where its API server is down, which is nothing that the workflow's network could mend.
    await expectRefused(on, 'cluster-failed', 'rotate', { kubeconfig: kubeconfigOfNobody(on) })
    on.cluster.setProvisioningState('Succeeded')
  })

  test('is being deleted', async () => {
    on.cluster.setProvisioningState('Deleting')
    await expectRefused(on, 'cluster-deleting', 'rotate', {})
    on.cluster.setProvisioningState('Succeeded')
  })

  test('never leaves Updating', async () => {
    on.cluster.setProvisioningState('Succeeded', 'Updating')
    const { sentence } = await expectRefused(on, 'cluster-stuck-updating', 'rotate', { 'timeout-minutes': '1' })
    expect(sentence).toContain('Updating')
    on.cluster.setProvisioningState('Succeeded', 'Succeeded')
  })

  test('has a system-assigned identity', async () => {
    const bed = await startEmbeddedBed({ timeScale: 0.001, cluster: { identity: 'SystemAssigned' } })
    try {
      await expectRefused(bed, 'identity-not-user-assigned', 'enable', { 'key-id': bed.keyIds()[0] ?? '' })
    } finally {
      await bed.stop()
    }
  })
})

describe('signing in', () => {
  test('to a tenant that is not there', async () => {
    await expectRefused(on, 'tenant-not-found', 'rotate', { 'tenant-id': NOBODY })
  })

  test('as nobody', async () => {
    await expectRefused(on, 'client-not-found', 'rotate', { 'client-id': NOBODY })
  })

  test('without id-token: write', async () => {
    await expectRefused(
      on,
      'oidc-unavailable',
      'rotate',
      {},
      { ACTIONS_ID_TOKEN_REQUEST_URL: '', ACTIONS_ID_TOKEN_REQUEST_TOKEN: '' }
    )
  })

  test('with a subject that no federated credential has: the message shows what was sent and what to create', async () => {
    const { claims } = on.github
    on.github.setClaims({ sub: 'repo:octo/platform:environment:production' })
    const { sentence } = await expectRefused(on, 'federated-credential-mismatch', 'rotate', {})
    on.github.setClaims(claims)
    expect(sentence).toContain('repo:octo/platform:environment:production')
    expect(sentence).toContain('api://AzureADTokenExchange')
    expect(sentence).toContain('https://token.actions.githubusercontent.com')
    expect(sentence).toContain('az ad app federated-credential create')
    expect(sentence).toMatch(/repo:octo@\d+\/platform@\d+:environment:production/)
  })
})

describe('Kubernetes', () => {
  test('does not accept the credential', async () => {
    await expectRefused(on, 'kubernetes-unauthorized', 'rotate', {
      kubeconfig: kubeconfigWithToken(on.controlPlane, 'not-a-token')
    })
  })

  test('is not reachable', async () => {
    await expectRefused(on, 'api-server-unreachable', 'rotate', { kubeconfig: kubeconfigOfNobody(on) })
  })
})
