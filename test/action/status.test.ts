import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { ClusterStatus } from '../../src/model/cluster-status.ts'
import { startEmbeddedBed, type Bed, type Inputs } from '../../testbed/bed.ts'
import { epoch } from '../../testbed/azure/key-versions.ts'
import { replaceAt } from '../../testbed/azure/json.ts'
import type { ManagedCluster } from '../../testbed/azure/managed-clusters.ts'
import { answers } from '../../testbed/azure/traffic.ts'
import type { EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import type { RunResult } from '../../testbed/runner/run-action.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, readable, recordOf } from './expectations.ts'

const DAY = 86_400
const NOBODY = '99999999-9999-4999-8999-999999999999'
const seeds = demoSecrets({ secrets: 12, namespaces: 2 })

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true })
addFormats.default(ajv)
const schema = (name: string): object =>
  JSON.parse(readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')) as object
const isReport = ajv.compile(schema('report.schema.json'))
const isOutput = ajv.compile(schema('clusters.schema.json'))

type Flat = Readonly<Record<string, unknown>>

/** The output `clusters`, by its schema. */
function flat(result: RunResult): readonly Flat[] {
  const clusters: unknown = JSON.parse(result.outputs['clusters'] ?? '')
  expect({ valid: isOutput(clusters), errors: isOutput.errors }).toEqual({ valid: true, errors: null })
  return clusters as readonly Flat[]
}

/** The clusters of the report, by its schema. */
function clustersOf(result: RunResult): readonly ClusterStatus[] {
  const report = expectGreen(result)
  expect({ valid: isReport(report), errors: isReport.errors }).toEqual({ valid: true, errors: null })
  return report.clusters ?? []
}

function codes({ findings }: ClusterStatus): readonly string[] {
  return findings.map(({ code }) => code)
}

/** Runs `status`, which asks for nothing but to read, of Azure and of the API server. */
async function look(bed: Bed<EmbeddedControlPlane>, inputs: Inputs): Promise<RunResult> {
  const asked: string[] = []
  const writes = bed.azure.writes.length
  const secrets = await bed.controlPlane.storedSecrets()
  const end = bed.controlPlane.faults.observe(({ request }) => {
    if (!request.user.groups.includes('system:masters')) asked.push(`${request.method} ${request.path}`)
  })
  try {
    return await bed.run('status', inputs)
  } finally {
    end()
    expect(
      asked.filter((one) => !/^GET \/api\/v1\/namespaces\/[a-z-]+\/configmaps\/kms-etcd-encryption$/.test(one))
    ).toEqual([])
    expect(bed.azure.writes.slice(writes)).toEqual([])
    expect(await bed.controlPlane.storedSecrets()).toEqual(secrets)
  }
}

describe('one cluster', () => {
  let bed: Bed<EmbeddedControlPlane>

  beforeAll(async () => {
    bed = await startEmbeddedBed({ timeScale: 0.001, secrets: seeds })
  })
  afterAll(async () => {
    await bed.stop()
  })

  test('without KMS, before anything was done', async () => {
    const result = await look(bed, {})
    const [cluster, ...others] = clustersOf(result)
    expect(others).toEqual([])
    expect(cluster).toMatchObject({
      name: bed.cluster.name,
      resourceGroup: bed.cluster.resourceGroup,
      subscriptionId: bed.azure.subscriptionId,
      kms: 'off',
      result: 'off',
      due: false,
      record: {},
      findings: [expect.objectContaining({ severity: 'note', code: 'kms-off' })]
    })
    expect(await recordOf(bed)).toBeUndefined()
  })

  test('after enable: the key, its age, and the proof', async () => {
    const [first = ''] = bed.keyIds()
    expectGreen(await bed.run('enable', { 'key-id': first }))
    const result = await look(bed, { 'max-key-age': '101d' })
    expect(clustersOf(result)[0]).toMatchObject({
      kms: 'v2',
      networkAccess: 'Public',
      keyId: first,
      key: { ageDays: 100, enabled: true, newerVersions: 0 },
      due: false,
      overdue: false,
      record: {
        provedKeyId: first,
        previousKeyId: 'identity',
        provedBy: 'https://github.com/octo-org/platform/actions/runs/1234567890/attempts/1'
      },
      result: 'ok',
      findings: []
    })
    expect(flat(result)).toEqual([
      expect.objectContaining({ kms: 'v2', mode: 'Public', 'key-id': first, 'age-days': 100, due: false, findings: '' })
    ])
    expect(result.outputs).toMatchObject({ 'clusters-count': '1', changed: 'false', proved: 'false' })
    expect(result.summary).toContain(`is in order: KMS v2, key version 100 days old.`)
    expect(result.annotations).toEqual([])
  })

  test('overdue, until it is rotated; then the previous key version is told, and missed when it is disabled', async () => {
    const [first = ''] = bed.keyIds()
    const late = await look(bed, { 'max-key-age': '90d' })
    expect(clustersOf(late)[0]).toMatchObject({ due: true, overdue: true, result: 'overdue' })
    expect(late.annotations).toContainEqual(
      expect.objectContaining({ level: 'warning', title: expect.stringContaining('rotation-overdue') })
    )

    expectGreen(await bed.run('rotate', { 'max-key-age': '90d' }))
    const rotated = await look(bed, { 'max-key-age': '90d' })
    const [, second = ''] = bed.keyIds()
    expect(clustersOf(rotated)[0]).toMatchObject({
      keyId: second,
      key: { ageDays: 0 },
      due: false,
      record: { provedKeyId: second, previousKeyId: first },
      result: 'ok'
    })
    expect(rotated.summary).toContain(first)

    const [retired] = bed.vault.versions('etcd')
    if (retired !== undefined) retired.enabled = false
    const [missed] = clustersOf(await look(bed, {}))
    expect(missed).toMatchObject({
      result: 'failing',
      findings: [{ severity: 'refusal', code: 'previous-key-unusable' }]
    })
    expect(missed?.findings[0]?.message).toContain(first)
    if (retired !== undefined) retired.enabled = true
  })

  test('changed behind the record’s back, and with newer versions', async () => {
    const third = await bed.addKeyVersion()
    await bed.cluster.changeKms({ enabled: true, keyId: third, keyVaultNetworkAccess: 'Public' })
    // Key Vault tells seconds only.
    await bed.vault.addKey('etcd', { created: epoch() + 1 })
    const [cluster] = clustersOf(await look(bed, {}))
    expect(cluster).toMatchObject({ keyId: third, result: 'warning', key: { newerVersions: 1 } })
    expect(cluster && codes(cluster)).toEqual(['record-out-of-date', 'newer-key-version'])
    expectGreen(await bed.run('re-encrypt'))
    expect(clustersOf(await look(bed, {}))[0]).toMatchObject({ record: { provedKeyId: third }, result: 'ok' })
  })

  test('by roles that only permit to read', async () => {
    const { permissions, application } = bed.azure
    const { objectId } = application
    const swap = (change: 'grant' | 'revoke', other: 'grant' | 'revoke'): void => {
      permissions[change](objectId, 'Azure Kubernetes Service Contributor Role', bed.cluster.id)
      permissions[change](objectId, 'Azure Kubernetes Service RBAC Cluster Admin', bed.cluster.id)
      permissions[change](objectId, 'Key Vault Crypto Officer', bed.vault.id)
      permissions[other](objectId, 'Azure Kubernetes Service Cluster User Role', bed.cluster.id)
      permissions[other](objectId, 'Azure Kubernetes Service RBAC Reader', bed.cluster.id)
      permissions[other](objectId, 'Key Vault Reader', bed.vault.id)
    }
    swap('revoke', 'grant')
    try {
      expect(clustersOf(await look(bed, {}))[0]).toMatchObject({ result: 'ok', key: { newerVersions: 1 } })
    } finally {
      swap('grant', 'revoke')
    }
  })

  test('that is not there ends the run', async () => {
    bed.azure.permissions.grant(bed.azure.application.objectId, 'Reader', `/subscriptions/${bed.azure.subscriptionId}`)
    expectRed(await look(bed, { 'cluster-name': 'nowhere' }), 'cluster-not-found')
  })
})

describe('a subscription', () => {
  let bed: Bed<EmbeddedControlPlane>
  let silent: Server
  let fleet: RunResult

  /** One more cluster behind the same API server, pinned to a key version of its own, or without KMS. */
  async function add(
    name: string,
    options: { ageDays?: number; resourceGroup?: string; version?: string } = {}
  ): Promise<ManagedCluster> {
    const { ageDays, resourceGroup, version } = options
    const keyId =
      ageDays === undefined ? undefined : (await bed.vault.addKey(name, { created: epoch() - ageDays * DAY })).id
    const cluster = bed.azure.addCluster({
      name,
      ...(resourceGroup !== undefined && { resourceGroup }),
      ...(version !== undefined && { kubernetesVersion: version }),
      ...(keyId !== undefined && { kms: { enabled: true, keyId, keyVaultNetworkAccess: 'Public' } })
    })
    cluster.attach(bed.controlPlane)
    bed.azure.permitOperator(cluster, bed.vault)
    return cluster
  }

  function statusOf(result: RunResult, name: string): ClusterStatus {
    const found = clustersOf(result).find((cluster) => cluster.name === name)
    if (found === undefined) throw new Error(`There is no cluster ${name}.`)
    return found
  }

  beforeAll(async () => {
    bed = await startEmbeddedBed({ kms: true, timeScale: 0.001, clustersPerPage: 3, secrets: seeds })
    silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
    const { permissions, application, subscriptionId } = bed.azure
    permissions.grant(application.objectId, 'Reader', `/subscriptions/${subscriptionId}`)
    for (const group of ['apps', 'labs']) bed.azure.addResourceGroup(group)

    await add('young', { ageDays: 5 })
    await add('due', { ageDays: 90, resourceGroup: 'apps' })
    await add('young', { ageDays: 20, resourceGroup: 'apps' })
    await add('off', { resourceGroup: 'apps' })
    const stopped = await add('stopped', { ageDays: 120, resourceGroup: 'apps' })
    stopped.setPowerState('Stopped')
    const expired = await add('expired', { ageDays: 30 })
    const [version] = bed.vault.versions('expired')
    if (version !== undefined) version.expires = epoch() - DAY
    expired.setProvisioningState('Updating')
    const unreachable = await add('unreachable', { ageDays: 40 })
    unreachable.change((body) =>
      replaceAt(body, ['properties', 'apiServerAccessProfile', 'enablePrivateCluster'], true)
    )
    unreachable.attach({
      ...bed.controlPlane,
      server: `https://127.0.0.1:${String((silent.address() as AddressInfo).port)}`
    })
    await add('old', { ageDays: 41, version: '1.26.6', resourceGroup: 'apps' })
    for (const [name, securityProfile] of Object.entries({
      'own-key': {
        azureKeyVaultKms: { enabled: true, keyId: `${bed.vault.url}/keys/etcd`, keyVaultNetworkAccess: 'Public' }
      },
      'platform-key': { kubernetesResourceObjectEncryptionProfile: { infrastructureEncryption: 'Enabled' } }
    })) {
      const cluster = await add(name, { resourceGroup: 'labs' })
      cluster.change((body) => replaceAt(body, ['properties', 'securityProfile'], securityProfile))
    }
    // Whoever may read the cluster may not yet sign in to it, nor read its vault.
    const vault = bed.azure.addVault()
    const key = await vault.addKey('etcd', { created: epoch() - 200 * DAY })
    const secluded = bed.azure.addCluster({
      name: 'secluded',
      resourceGroup: 'labs',
      kms: { enabled: true, keyId: key.id, keyVaultNetworkAccess: 'Public' }
    })
    secluded.attach(bed.controlPlane)
    // Its vault keeps this runner out, and Resource Manager tells of its key.
    const closed = bed.azure.addVault({ properties: { publicNetworkAccess: 'Disabled' } })
    const inside = await closed.addKey('etcd', { created: epoch() - 70 * DAY })
    const priv = bed.azure.addCluster({
      name: 'private',
      resourceGroup: 'labs',
      kms: { enabled: true, keyId: inside.id, keyVaultNetworkAccess: 'Private', keyVaultResourceId: closed.id }
    })
    priv.attach(bed.controlPlane)
    bed.azure.permitOperator(priv, closed)
    // Throttled once, Azure is heeded.
    bed.azure.disturb({
      method: 'GET',
      url: /\/providers\/Microsoft\.ContainerService\/managedClusters$/,
      reply: answers.throttled(1)
    })
    bed.azure.disturb({
      method: 'GET',
      url: new RegExp(`^${bed.vault.url}/keys/due/versions`),
      reply: answers.vaultThrottled(1)
    })
    fleet = await look(bed, { 'resource-group': '', 'cluster-name': '', 'max-key-age': '90d' })
  })
  afterAll(async () => {
    silent.close()
    await bed.stop()
  })

  test('shows every cluster on every page, the most urgent first', () => {
    expect(clustersOf(fleet).map(({ name, result }) => [name, result])).toEqual([
      ['expired', 'failing'],
      [bed.cluster.name, 'overdue'],
      ['due', 'due'],
      ['secluded', 'unknown'],
      ['stopped', 'warning'],
      ['private', 'warning'],
      ['old', 'warning'],
      ['unreachable', 'warning'],
      ['young@apps', 'warning'],
      [`young@${bed.azure.resourceGroup}`, 'warning'],
      ['off', 'off'],
      ['own-key', 'ok'],
      ['platform-key', 'ok']
    ])
    const pages = bed.azure.requests.filter(
      ({ path, search }) =>
        path.endsWith('/providers/Microsoft.ContainerService/managedClusters') && !search.includes('preview')
    )
    expect(pages.map(({ status }) => status)).toEqual([429, 200, 200, 200, 200, 200])
    expect(expectGreen(fleet)).toMatchObject({
      cluster: `/subscriptions/${bed.azure.subscriptionId}`,
      sentence:
        '13 clusters: 1 failing, 1 overdue, 1 due, 1 not known in full, 6 with warnings, 1 without KMS, 2 in order.'
    })
  })

  test('says of each what is not known, and why', () => {
    const secluded = statusOf(fleet, 'secluded')
    expect(codes(secluded)).toEqual(['key-forbidden', 'authorization-failed'])
    expect(secluded).not.toHaveProperty('key')
    expect(secluded).not.toHaveProperty('record')
    expect(secluded.findings[1]?.message).toContain('listClusterUserCredential')

    const stopped = statusOf(fleet, 'stopped')
    expect(stopped).toMatchObject({ phase: 'stopped', due: false, key: { ageDays: 120 } })
    expect(stopped).not.toHaveProperty('record')
    expect(stopped.findings).toEqual([expect.objectContaining({ code: 'cluster-stopped', severity: 'warning' })])

    const unreachable = statusOf(fleet, 'unreachable')
    expect(unreachable).toMatchObject({ key: { ageDays: 40 }, dueAt: expect.any(String) })
    expect(codes(unreachable)).toEqual(['api-server-private'])
    expect(unreachable.findings[0]?.message).toMatch(/did not answer this runner for 10 s.* The cluster is private/)

    expect(statusOf(fleet, 'private')).toMatchObject({
      networkAccess: 'Private',
      key: { ageDays: 70, newerVersions: 0 }
    })
    expect(codes(statusOf(fleet, 'expired'))).toEqual(['cluster-changing', 'current-key-unusable', 'never-proved'])
    expect(codes(statusOf(fleet, 'old'))).toEqual(['never-proved', 'kms-v1'])
    for (const [name, keyId] of Object.entries({
      'own-key': `${bed.vault.url}/keys/etcd`,
      'platform-key': undefined
    })) {
      const status = statusOf(fleet, name)
      expect({ kms: status.kms, keyId: status.keyId, codes: codes(status) }).toEqual({
        kms: 'data-encryption',
        keyId,
        codes: ['kms-data-encryption']
      })
    }
  })

  test('takes little time for an API server that does not answer', () => {
    expect(fleet.durationMs).toBeLessThan(25_000)
  })

  test('ends at once when it is cancelled', async () => {
    const cancel = new AbortController()
    const result = await bed.run(
      'status',
      { 'resource-group': '', 'cluster-name': '' },
      { cancel: cancel.signal, onLine: (line) => line.endsWith('/managedClusters/old') && cancel.abort() }
    )
    expectRed(result, 'cancelled')
    expect(result.durationMs).toBeLessThan(8_000)
    expect(result.outputs).toMatchObject({ clusters: '', 'clusters-count': '' })
  })

  test('logs each with its findings', () => {
    const log = readable(fleet.log)
    expect(log).toMatch(/^::group::Look at 13 clusters$/m)
    expect(log).toMatch(
      /^expired: failing\n {2}note cluster-changing: .*\n {2}refusal current-key-unusable: The key version in use expired/m
    )
  })

  test('gives a matrix of flat objects', () => {
    const output = flat(fleet)
    expect(output).toHaveLength(13)
    expect(fleet.outputs['clusters-count']).toBe('13')
    for (const one of output) {
      expect(Object.values(one).filter((value) => typeof value === 'object' && value !== null)).toEqual([])
      expect(Object.keys(one)).toEqual(Object.keys(output[0] ?? {}))
    }
    expect(output[2]).toMatchObject({
      name: 'due',
      'resource-group': 'apps',
      'cluster-name': 'due',
      'subscription-id': bed.azure.subscriptionId,
      location: 'westeurope',
      due: true,
      overdue: false
    })
    expect(fleet.masks.filter((mask) => mask !== '' && fleet.outputs['clusters']?.includes(mask))).toEqual([])
  })

  test('warns at the head of the run’s page, each code once', () => {
    const titles = fleet.annotations.map(({ title }) => title)
    expect(titles).toContainEqual(expect.stringContaining('never-proved'))
    expect(new Set(titles).size).toBe(titles.length)
    expect(fleet.summary).toMatch(/\[`never-proved`\]\(.*\)\*\* On \d of 13 clusters: .*`young@apps`/)
  })

  test('due-only: the output has those that are due, the summary all', async () => {
    const result = await look(bed, {
      'resource-group': 'apps',
      'cluster-name': '',
      'max-key-age': '90d',
      'due-only': 'true'
    })
    expect(flat(result).map(({ name }) => name)).toEqual(['due'])
    expect(result.outputs['clusters-count']).toBe('1')
    expect(clustersOf(result).map(({ name }) => name)).toEqual(['due', 'stopped', 'old', 'young', 'off'])
    expect(result.summary).toContain('`stopped`')
    expect(result.summary).toContain('The output `clusters` has 1 cluster whose rotation is due.')
  })

  test('without clusters is green, and its matrix empty', async () => {
    bed.azure.addResourceGroup('empty')
    const result = await look(bed, { 'resource-group': 'empty', 'cluster-name': '' })
    expect(expectGreen(result).sentence).toMatch(/no cluster/)
    expect(result.outputs).toMatchObject({ clusters: '[]', 'clusters-count': '0' })
  })

  test('that may not be read ends the run', async () => {
    const other = bed.azure.addSubscription()
    const report = expectRed(
      await look(bed, { 'resource-group': '', 'cluster-name': '', 'subscription-id': other }),
      'authorization-failed'
    )
    expect(report).not.toHaveProperty('clusters')
    expectRed(await look(bed, { 'resource-group': '', 'cluster-name': '', 'client-id': NOBODY }), 'client-not-found')
    expectRed(await look(bed, { 'resource-group': 'nowhere', 'cluster-name': '' }), 'resource-group-not-found')
  })
})
