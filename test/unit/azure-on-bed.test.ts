import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startAzure, type Azure } from '../../testbed/azure/azure.ts'
import { AIR_GAPPED_CLOUD, PUBLIC_CLOUD, type BedCloud } from '../../testbed/azure/clouds.ts'
import type { ManagedCluster } from '../../testbed/azure/managed-clusters.ts'
import { answers, faults } from '../../testbed/azure/traffic.ts'
import type { Vault } from '../../testbed/azure/vaults.ts'
import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import { startGitHubIssuer, type GitHubIssuer } from '../../testbed/github/oidc-issuer.ts'
import { startNetwork, type Network } from '../../testbed/network.ts'
import type { Outcome, Task } from './azure-on-bed-child.ts'

/** Milliseconds for a process of its own to start and to go through an update. */
const CHILD_PROCESS = 60_000
const SUBJECT = 'repo:octo/platform:ref:refs/heads/main'

let github: GitHubIssuer
beforeAll(async () => {
  github = await startGitHubIssuer()
})
afterAll(() => github.close())

interface Scene {
  readonly azure: Azure
  readonly network: Network
  readonly cluster: ManagedCluster
  readonly vault: Vault
  readonly keyId: string
  run(task: Partial<Task>): Promise<Outcome>
  close(): Promise<void>
}

async function setScene(cloud: BedCloud = PUBLIC_CLOUD): Promise<Scene> {
  github.setClaims({ sub: SUBJECT })
  const network = await startNetwork({ certificateAuthority: await createCertificateAuthority() })
  const azure = await startAzure({ network, github, cloud, timeScale: 0.002 })
  const vault = azure.addVault()
  const { id: keyId } = await vault.addKey('kms')
  const cluster = azure.addCluster()
  azure.permitKms(cluster, vault)
  azure.permitOperator(cluster, vault)
  const common: Task = {
    cloud: JSON.stringify({
      authority: `https://${cloud.authorityHost}`,
      resourceManager: `https://${cloud.resourceManagerHost}`,
      vaultSuffix: cloud.vaultSuffix,
      audience: cloud.assertionAudience
    }),
    tenantId: azure.tenantId,
    clientId: azure.application.applicationId,
    subscriptionId: azure.subscriptionId,
    resourceGroup: azure.resourceGroup,
    cluster: cluster.name,
    vaultUrl: vault.url,
    keyId,
    do: 'enable and make a version'
  }
  return {
    azure,
    network,
    cluster,
    vault,
    keyId,
    async run(task) {
      const script = fileURLToPath(new URL('azure-on-bed-child.ts', import.meta.url))
      const env = {
        PATH: process.env['PATH'],
        ...network.environment,
        ...github.environment,
        TASK: JSON.stringify({ ...common, ...task })
      }
      const { stdout } = await promisify(execFile)(process.execPath, [script], { env, maxBuffer: 1 << 24 })
      return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Outcome
    },
    async close() {
      azure.close()
      await network.close()
    }
  }
}

const scenes: Scene[] = []
afterAll(() => Promise.all(scenes.map((scene) => scene.close())))

async function newScene(cloud?: BedCloud): Promise<Scene> {
  const scene = await setScene(cloud)
  scenes.push(scene)
  return scene
}

describe.each([
  ['the public cloud', PUBLIC_CLOUD],
  ['an air-gapped cloud', AIR_GAPPED_CLOUD]
])('on %s', (_, cloud) => {
  test(
    'signs in, updates the cluster and makes a key version',
    async () => {
      const { azure, network, cluster, vault, keyId, run } = await newScene(cloud)
      azure.disturb(faults.polls(1, answers.badGateway))
      const outcome = await run({})
      expect(network.refused).toEqual([])
      expect(outcome).toMatchObject({
        after: { properties: { securityProfile: { azureKeyVaultKms: { enabled: true, keyId } } } },
        made: vault.versions('kms').at(-1)?.id,
        versions: 2
      })
      const put = azure.requests.find(({ method, path }) => method === 'PUT' && path === cluster.id)
      if (!('before' in outcome)) throw new Error('there is an outcome')
      const ours = { securityProfile: expect.anything() }
      expect(put?.body).toEqual({
        ...outcome.before,
        properties: { ...(outcome.before['properties'] as object), ...ours }
      })
      const assertions = azure.entra.exchanges.map(({ assertion }) => assertion)
      expect(assertions.length).toBeGreaterThanOrEqual(2)
      expect(new Set(assertions).size).toBe(assertions.length)
    },
    CHILD_PROCESS
  )
})

describe('when something is wrong', () => {
  let scene: Scene
  beforeEach(async () => {
    scene = await newScene()
  })

  test(
    'an update whose answer is lost shows as a changed cluster, and was done once',
    async () => {
      scene.azure.disturb(faults.clusterWriteAnswerLost())
      expect(await scene.run({})).toMatchObject({ error: 'ClusterChangedError' })
      expect(scene.azure.writes).toHaveLength(1)
    },
    CHILD_PROCESS
  )

  test(
    'an update on top of a stale read shows as a changed cluster',
    async () => {
      expect(await scene.run({ do: 'enable on top of what was read before' })).toMatchObject({
        error: 'ClusterChangedError'
      })
    },
    CHILD_PROCESS
  )

  test(
    'an operation that fails is told with its code',
    async () => {
      scene.cluster.failNextOperation({ code: 'InternalOperationError', message: 'Internal server error' })
      expect(await scene.run({})).toMatchObject({
        code: 'cluster-update-failed',
        message: expect.stringContaining('InternalOperationError')
      })
    },
    CHILD_PROCESS
  )

  test(
    'a missing permission is told with the action, the scope and the role',
    async () => {
      const { azure, cluster } = scene
      const other = azure.entra.addApplication({
        tenantId: azure.tenantId,
        federatedCredentials: [{ issuer: github.issuer, subject: SUBJECT, audiences: [PUBLIC_CLOUD.assertionAudience] }]
      })
      const outcome = await scene.run({ clientId: other.applicationId, do: 'read' })
      expect(outcome).toMatchObject({
        code: 'authorization-failed',
        message: expect.stringContaining(`may not Microsoft.ContainerService/managedClusters/read on ${cluster.id}`),
        fix: expect.stringContaining(`--assignee-object-id ${other.objectId}`)
      })
    },
    CHILD_PROCESS
  )

  test(
    'a missing permission on the control-plane identity is told with its role',
    async () => {
      const { azure, cluster } = scene
      const other = azure.entra.addApplication({
        tenantId: azure.tenantId,
        federatedCredentials: [{ issuer: github.issuer, subject: SUBJECT, audiences: [PUBLIC_CLOUD.assertionAudience] }]
      })
      azure.permissions.grant(other.objectId, 'Azure Kubernetes Service Contributor Role', cluster.id)
      expect(await scene.run({ clientId: other.applicationId })).toMatchObject({
        code: 'linked-authorization-failed',
        message: expect.stringContaining(azure.identityOf(cluster).id),
        fix: expect.stringContaining('Managed Identity Operator')
      })
    },
    CHILD_PROCESS
  )

  test(
    'a permission that AKS itself lacks on the key',
    async () => {
      const { azure } = scene
      const vault = azure.addVault()
      const { id } = await vault.addKey('kms')
      expect(await scene.run({ keyId: id })).toMatchObject({ code: 'key-permission-missing' })
    },
    CHILD_PROCESS
  )

  test(
    'a federated credential for another subject',
    async () => {
      github.setClaims({ sub: 'repo:octo/platform:pull_request' })
      expect(await scene.run({ do: 'read' })).toMatchObject({
        code: 'federated-credential-mismatch',
        message: expect.stringContaining('"subject":"repo:octo/platform:pull_request"')
      })
      expect(scene.azure.entra.exchanges).toHaveLength(1)
    },
    CHILD_PROCESS
  )

  test.each([
    ['tenantId', 'tenant-not-found'],
    ['clientId', 'client-not-found'],
    ['subscriptionId', 'subscription-not-found'],
    ['cluster', 'cluster-not-found'],
    ['resourceGroup', 'resource-group-not-found']
  ] as const)(
    'a %s that does not exist',
    async (name, code) => {
      const { azure } = scene
      azure.permissions.grant(azure.application.objectId, 'Reader', `/subscriptions/${azure.subscriptionId}`)
      expect(await scene.run({ [name]: '99999999-0000-0000-0000-000000000000', do: 'read' })).toMatchObject({ code })
    },
    CHILD_PROCESS
  )
})
