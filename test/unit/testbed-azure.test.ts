import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'

import { startAzure, type Azure, type AzureOptions } from '../../testbed/azure/azure.ts'
import { AIR_GAPPED_CLOUD, CHINA_CLOUD, PUBLIC_CLOUD, US_GOVERNMENT_CLOUD } from '../../testbed/azure/clouds.ts'
import type { Application } from '../../testbed/azure/entra.ts'
import { listAt, objectAt, replaceAt, textAt, type Json, type JsonObject } from '../../testbed/azure/json.ts'
import { KUBERNETES_OPERATORS, type ManagedCluster } from '../../testbed/azure/managed-clusters.ts'
import { answers, faults } from '../../testbed/azure/traffic.ts'
import type { Vault } from '../../testbed/azure/vaults.ts'
import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'
import type { ControlPlane, EncryptionConfiguration, StoredSecret } from '../../testbed/contract.ts'
import { startGitHubIssuer, type GitHubIssuer } from '../../testbed/github/oidc-issuer.ts'
import { startNetwork, type WireHandler } from '../../testbed/network.ts'
import { eventually } from '../conformance/eventually.ts'

const API = '2025-10-01'
const PREVIEW = '2025-09-02-preview'

/** Milliseconds for a process of its own to start, with all of the SDKs. */
const CHILD_PROCESS = 60_000

let github: GitHubIssuer
beforeAll(async () => {
  github = await startGitHubIssuer()
})
afterAll(() => github.close())

/** The bed without sockets: requests go straight to the handler of their host. */
interface Bed {
  readonly azure: Azure
  call(
    method: string,
    url: string,
    options?: { readonly token?: string; readonly headers?: Record<string, string>; readonly body?: unknown }
  ): Promise<{ readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: JsonObject }>
  /** A call to ARM by the application. */
  arm(method: string, path: string, body?: unknown, headers?: Record<string, string>): ReturnType<Bed['call']>
  /** A call to a vault by the application. */
  kv(method: string, url: string, body?: unknown): ReturnType<Bed['call']>
  signIn(scope: string, application?: Partial<Application>): ReturnType<Bed['call']>
}

const beds: Azure[] = []
afterAll(() => {
  for (const azure of beds) azure.close()
})

async function startBed(options: Partial<AzureOptions> = {}): Promise<Bed> {
  const routes: { readonly host: string | ((name: string) => boolean); readonly handler: WireHandler }[] = []
  const network = {
    serve: (host: (typeof routes)[number]['host'], handler: WireHandler) => routes.push({ host, handler })
  }
  const azure = await startAzure({ network, github, timeScale: 0.0005, ...options })
  beds.push(azure)
  const bed: Bed = {
    azure,
    async call(method, address, { token, headers = {}, body } = {}) {
      const url = new URL(address)
      const route = routes.find(({ host }) => (typeof host === 'string' ? host === url.hostname : host(url.hostname)))
      const reply = await route?.handler({
        method,
        host: url.hostname,
        path: url.pathname,
        search: url.search,
        query: url.searchParams,
        headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        text: body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
      })
      if (reply === undefined) throw new Error(`ENOTFOUND ${url.hostname}`)
      if (reply === 'reset') throw new Error('ECONNRESET')
      return {
        status: reply.status,
        headers: reply.headers ?? {},
        body: JSON.parse(JSON.stringify(reply.body ?? {})) as JsonObject
      }
    },
    arm(method, path, body, headers = {}) {
      const token = azure.entra.issueAccessToken(azure.application, 'https://management.azure.com/')
      const version = path.includes('api-version=') ? '' : `${path.includes('?') ? '&' : '?'}api-version=${API}`
      return bed.call(method, `https://management.azure.com${path}${version}`, { token, body, headers })
    },
    kv(method, url, body) {
      const token = azure.entra.issueAccessToken(azure.application, 'https://vault.azure.net')
      return bed.call(method, `${url}?api-version=7.6`, { token, body })
    },
    async signIn(scope, { tenantId = azure.tenantId, applicationId = azure.application.applicationId } = {}) {
      const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret } = github.environment
      const response = await fetch(`${url}&audience=${encodeURIComponent(audience)}`, {
        headers: { authorization: `bearer ${secret}` }
      })
      const { value } = (await response.json()) as { value: string }
      const form = new URLSearchParams({
        client_id: applicationId,
        scope,
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: value
      })
      return bed.call('POST', `https://login.microsoftonline.com/${tenantId}/oauth2/v2.0/token`, {
        body: form.toString()
      })
    }
  }
  return bed
}
let audience = PUBLIC_CLOUD.assertionAudience

/** API servers that remember what they were told, and Secrets that lie where a test puts them. */
interface FakeControlPlane extends ControlPlane {
  readonly rolls: EncryptionConfiguration[]
  secrets: StoredSecret[]
}

function fakeControlPlane(): FakeControlPlane {
  const rolls: EncryptionConfiguration[] = []
  const controlPlane: FakeControlPlane = {
    kind: 'embedded',
    server: 'https://127.0.0.1:6443',
    certificateAuthority: 'CA',
    adminCertificate: { certificate: 'CERTIFICATE', key: 'KEY' },
    rolls,
    secrets: [],
    roll: async (encryption) => {
      rolls.push(encryption)
    },
    restart: async () => undefined,
    storedSecrets: async () => controlPlane.secrets,
    seed: async () => undefined,
    request: async () => ({ status: 404, headers: {}, body: undefined }),
    stop: async () => undefined
  }
  return controlPlane
}

function secretUnder(provider: string, keyId: string | undefined): StoredSecret {
  const keyIdHash = keyId === undefined ? undefined : createHash('sha256').update(keyId).digest('hex')
  return { namespace: 'shop', name: 'db', provider, keyIdHash, revision: 1, bytes: new Uint8Array() }
}

function publicKms(keyId: string): JsonObject {
  return { enabled: true, keyId, keyVaultNetworkAccess: 'Public' }
}

function withKms(body: JsonObject, kms: Json | undefined): JsonObject {
  return replaceAt(body, ['properties', 'securityProfile', 'azureKeyVaultKms'], kms)
}

function stateOf(body: JsonObject): readonly string[] {
  return [
    textAt(body, 'properties', 'provisioningState'),
    ...listAt(body, 'properties', 'agentPoolProfiles').map((pool) => textAt(pool, 'provisioningState'))
  ]
}

/** Entity tags change with every write; all the rest can be compared. */
function withoutTags(body: JsonObject): Json {
  return JSON.parse(JSON.stringify(body, (name, value: unknown) => (name === 'eTag' ? undefined : value))) as Json
}

function errorOf(body: JsonObject): string {
  const inner = textAt(body, 'error', 'innererror', 'code')
  return [textAt(body, 'error', 'code'), inner].filter((part) => part !== '').join('/')
}

/** A cluster with an attached control plane and a vault that both it and the application may use. */
interface Scene extends Bed {
  readonly cluster: ManagedCluster
  readonly vault: Vault
  readonly controlPlane: FakeControlPlane
  /** What GET shows. */
  read(apiVersion?: string): Promise<JsonObject>
  /** PUTs what GET shows with another KMS profile, as a client would. */
  putKms(kms: Json | undefined): ReturnType<Bed['call']>
}

async function setScene(
  options: Parameters<Azure['addCluster']>[0] = {},
  bedOptions: Partial<AzureOptions> = {}
): Promise<Scene> {
  const bed = await startBed(bedOptions)
  const { azure } = bed
  const vault = azure.addVault()
  const cluster = azure.addCluster(options)
  const controlPlane = fakeControlPlane()
  cluster.attach(controlPlane)
  azure.permitOperator(cluster, vault)
  if (options.identity !== 'SystemAssigned') azure.permitKms(cluster, vault)
  const read: Scene['read'] = async (apiVersion = API) =>
    (await bed.arm('GET', `${cluster.id}?api-version=${apiVersion}`)).body
  return {
    ...bed,
    cluster,
    vault,
    controlPlane,
    read,
    putKms: async (kms) => {
      const body = await read()
      return bed.arm('PUT', cluster.id, withKms(body, kms), { 'if-match': textAt(body, 'eTag') })
    }
  }
}

describe('Entra', () => {
  let bed: Bed
  beforeEach(async () => {
    audience = PUBLIC_CLOUD.assertionAudience
    github.setClaims({ sub: 'repo:octo/platform:ref:refs/heads/main' })
    github.setLifetime(300)
    bed = await startBed()
  })

  test('gives an access token for a GitHub token, and knows it again', async () => {
    const { azure } = bed
    const { status, body } = await bed.signIn('https://management.azure.com/.default')
    expect(status).toBe(200)
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3600 })
    const token = textAt(body, 'access_token')
    expect(azure.entra.verifyAccessToken(token, 'https://management.azure.com')).toMatchObject({
      principal: { tenantId: azure.tenantId, objectId: azure.application.objectId }
    })
    expect(azure.entra.verifyAccessToken(token, 'https://vault.azure.net')).toMatchObject({ problem: 'audience' })
    const [head, payload, signature] = token.split('.')
    const forged = Buffer.from(JSON.stringify({ aud: 'https://management.azure.com', oid: 'me' })).toString('base64url')
    expect(payload).not.toBe(forged)
    expect(
      azure.entra.verifyAccessToken(`${head}.${forged}.${signature}`, 'https://management.azure.com')
    ).toMatchObject({
      problem: 'malformed'
    })
    expect(azure.entra.exchanges).toHaveLength(1)
  })

  test('takes a subject in the immutable format as it is', async () => {
    const subject = 'repo:octo@1111/platform@2222:environment:prod'
    github.setClaims({ sub: subject })
    expect((await bed.signIn('https://vault.azure.net/.default')).body['error_codes']).toEqual([700213])
    bed.azure.application.federatedCredentials.push({ issuer: github.issuer, subject, audiences: [audience] })
    expect((await bed.signIn('https://vault.azure.net/.default')).status).toBe(200)
  })

  test.each<[string, number, number, string, (azure: Azure) => Partial<Application> | undefined]>([
    ['an unknown tenant', 90002, 400, 'invalid_request', () => ({ tenantId: '11111111-0000-0000-0000-000000000000' })],
    ['an unknown client', 700016, 400, 'unauthorized_client', () => ({ applicationId: 'nobody' })],
    [
      'no credential at all',
      70021,
      401,
      'invalid_client',
      (azure) => azure.entra.addApplication({ tenantId: azure.tenantId })
    ],
    [
      'another subject',
      700213,
      401,
      'invalid_client',
      () => {
        github.setClaims({ sub: 'repo:octo/platform:pull_request' })
      }
    ],
    [
      'another case',
      7002138,
      401,
      'invalid_client',
      () => {
        github.setClaims({ sub: 'repo:Octo/platform:ref:refs/heads/main' })
      }
    ],
    ['another audience', 700212, 401, 'invalid_client', () => void (audience = 'https://github.com/octo')],
    [
      'a stale assertion',
      700024,
      401,
      'invalid_client',
      () => {
        github.setLifetime(-1)
      }
    ]
  ])('refuses %s with AADSTS%i', async (_name, code, status, error, arrange) => {
    const answer = await bed.signIn('https://vault.azure.net/.default', arrange(bed.azure) ?? {})
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ error, error_codes: [code], trace_id: expect.any(String) })
    expect(textAt(answer.body, 'error_description')).toMatch(new RegExp(`^AADSTS${code}: .+ Trace ID: `))
    expect(bed.azure.entra.exchanges.at(-1)?.error).toBe(code)
  })

  test('refuses a resource that nobody has heard of', async () => {
    expect((await bed.signIn('https://vault.azure.example/.default')).body['error_codes']).toEqual([500011])
  })
})

describe('Azure Resource Manager', () => {
  test('lets in whoever may, and says why not to everybody else', async () => {
    const { azure, call, arm } = await startBed()
    const cluster = azure.addCluster()
    const url = `https://management.azure.com${cluster.id}?api-version=${API}`
    const { application, entra } = azure

    expect(errorOf((await call('GET', url)).body)).toBe('AuthenticationFailed')
    expect(errorOf((await call('GET', url, { token: 'nonsense' })).body)).toBe('InvalidAuthenticationToken')
    const forVault = entra.issueAccessToken(application, 'https://vault.azure.net')
    expect(errorOf((await call('GET', url, { token: forVault })).body)).toBe('InvalidAuthenticationTokenAudience')
    entra.setAccessTokenLifetime(-1)
    expect((await arm('GET', cluster.id)).body).toMatchObject({ error: { code: 'ExpiredAuthenticationToken' } })
    entra.setAccessTokenLifetime(3600)

    const forbidden = await arm('GET', cluster.id)
    expect(forbidden.status).toBe(403)
    expect(textAt(forbidden.body, 'error', 'message')).toContain(
      `with object id '${application.objectId}' does not have authorization to perform action 'Microsoft.ContainerService/managedClusters/read' over scope '${cluster.id}'`
    )
    azure.permissions.grant(application.objectId, 'Reader', `/subscriptions/${azure.subscriptionId}`)
    expect((await arm('GET', cluster.id)).status).toBe(200)
    expect((await arm('GET', cluster.id.toUpperCase().replace('/SUBSCRIPTIONS', '/subscriptions'))).status).toBe(200)
    expect((await arm('PUT', cluster.id, {})).status).toBe(403)
    expect(await arm('GET', `${cluster.id}x`)).toMatchObject({
      status: 404,
      body: { error: { code: 'ResourceNotFound' } },
      headers: { 'x-ms-failure-cause': 'gateway' }
    })
    expect(
      errorOf(
        (
          await call('GET', url.replace(/\?.*/, ''), {
            token: entra.issueAccessToken(application, 'https://management.azure.com')
          })
        ).body
      )
    ).toBe('MissingApiVersionParameter')

    const unknown = cluster.id.replace(azure.subscriptionId, '22222222-0000-0000-0000-000000000000')
    expect(await arm('GET', unknown)).toMatchObject({ status: 404, body: { error: { code: 'SubscriptionNotFound' } } })
    const foreign = azure.addSubscription(entra.addTenant())
    expect(await arm('GET', cluster.id.replace(azure.subscriptionId, foreign))).toMatchObject({
      status: 401,
      body: { error: { code: 'InvalidAuthenticationTokenTenant' } }
    })
  })

  test('keeps role assignments by scope, and takes its time to hear of new ones', async () => {
    const { azure, arm } = await startBed()
    const { application, permissions } = azure
    const vault = azure.addVault()
    const identity = azure.addIdentity()
    const scope = `/subscriptions/${azure.subscriptionId}`
    permissions.grant(application.objectId, 'Owner', scope)
    permissions.setPropagationDelay(150)
    const properties = {
      roleDefinitionId: `${scope}/providers/Microsoft.Authorization/roleDefinitions/12338af0-0e69-4776-bea7-57ae8d297424`,
      principalId: identity.objectId
    }
    const assignments = `${vault.id}/providers/Microsoft.Authorization/roleAssignments`
    expect((await arm('PUT', `${assignments}/a`, { properties })).status).toBe(201)
    expect((await arm('PUT', `${assignments}/a`, { properties })).status).toBe(200)
    expect(errorOf((await arm('PUT', `${assignments}/b`, { properties })).body)).toBe('RoleAssignmentExists')
    const stranger = { ...properties, principalId: 'nobody' }
    expect(errorOf((await arm('PUT', `${assignments}/c`, { properties: stranger })).body)).toBe('PrincipalNotFound')

    const decrypt = 'Microsoft.KeyVault/vaults/keys/decrypt/action'
    expect(permissions.allowsData(identity.objectId, decrypt, vault.id)).toBe(false)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(permissions.allowsData(identity.objectId, decrypt, vault.id)).toBe(true)
    expect(permissions.allowsData(identity.objectId, decrypt, `${vault.id}x`)).toBe(false)
    const filter = `$filter=${encodeURIComponent(`principalId eq '${identity.objectId}'`)}`
    expect(listAt((await arm('GET', `${assignments}?${filter}`)).body, 'value')).toHaveLength(1)
    expect(listAt((await arm('GET', assignments)).body, 'value')).toHaveLength(2)
    const mine = await arm('GET', `${vault.id}/providers/Microsoft.Authorization/permissions`)
    expect(mine.body).toMatchObject({ value: [{ actions: ['*'] }] })

    permissions.revoke(application.objectId, 'Owner', scope)
    permissions.setPropagationDelay(0)
    permissions.grant(application.objectId, 'Contributor', scope)
    expect((await arm('GET', assignments)).status).toBe(200)
    expect((await arm('PUT', `${assignments}/d`, { properties })).status).toBe(403)
  })

  test('makes identities and vaults, and keeps purge protection for good', async () => {
    const { azure, arm } = await startBed()
    azure.permissions.grant(azure.application.objectId, 'Contributor', `/subscriptions/${azure.subscriptionId}`)
    const group = `/subscriptions/${azure.subscriptionId}/resourceGroups/${azure.resourceGroup}`
    const identity = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/kms`
    expect((await arm('GET', identity)).status).toBe(404)
    expect((await arm('PUT', identity, { location: 'westeurope' })).status).toBe(201)
    expect((await arm('GET', identity)).body).toMatchObject({ properties: { principalId: expect.any(String) } })

    const vault = `${group}/providers/Microsoft.KeyVault/vaults/kv-made`
    const properties = { sku: { family: 'A', name: 'standard' }, tenantId: azure.tenantId, enablePurgeProtection: true }
    const made = await arm('PUT', `${vault}?api-version=2026-02-01`, { location: 'westeurope', properties })
    expect(made.body).toMatchObject({
      properties: { provisioningState: 'RegisteringDns', enableRbacAuthorization: true }
    })
    await eventually(
      async () => textAt((await arm('GET', vault)).body, 'properties', 'provisioningState') === 'Succeeded'
    )
    const unprotected = { properties: { enablePurgeProtection: false } }
    expect((await arm('PATCH', vault, unprotected)).status).toBe(400)
    expect((await arm('PATCH', vault, { properties: { publicNetworkAccess: 'Disabled' } })).body).toMatchObject({
      properties: { publicNetworkAccess: 'Disabled', enablePurgeProtection: true }
    })
    expect(errorOf((await arm('PUT', vault.replace(azure.resourceGroup, 'nowhere'), { location: 'x' })).body)).toBe(
      'ResourceGroupNotFound'
    )
    const older = await arm('PUT', `${group}/providers/Microsoft.KeyVault/vaults/kv-older?api-version=2023-07-01`, {
      location: 'westeurope',
      properties: { tenantId: azure.tenantId }
    })
    expect(older.body).toMatchObject({ properties: { enableRbacAuthorization: false } })
  })

  test('makes keys with a rotation policy for who may read them, and none while a deleted one has the name', async () => {
    const { azure, arm } = await startBed()
    const { application, permissions, subscriptionId } = azure
    const vault = azure.addVault()
    const key = `${vault.id}/keys/etcd`
    const rotate = { trigger: { timeAfterCreate: 'P90D' }, action: { type: 'rotate' } }
    const properties = { kty: 'RSA', keySize: 2048, keyOps: ['encrypt'], rotationPolicy: { lifetimeActions: [rotate] } }
    permissions.grant(application.objectId, 'Key Vault Contributor', `/subscriptions/${subscriptionId}`)
    expect(errorOf((await arm('PUT', key, { properties })).body)).toBe('ForbiddenByRbac')
    permissions.grant(application.objectId, 'Key Vault Reader', vault.id)
    const made = (await arm('PUT', key, { properties })).body
    expect(made).toMatchObject({ properties })
    expect((await arm('PUT', key, { properties: { ...properties, keySize: 4096 } })).body).toEqual(made)
    expect((await arm('GET', key)).body).toEqual(made)
    const state = vault.keys.get('etcd')
    expect(state?.rotationPolicy).toMatchObject({ lifetimeActions: [{ action: { type: 'Rotate' } }] })
    if (state !== undefined) state.deleted = 1
    expect((await arm('GET', key)).status).toBe(404)
    expect(await arm('PUT', key, { properties })).toMatchObject({ status: 409, body: { error: { code: 'Conflict' } } })
  })

  test('adds to access policies without touching others, and keeps the names of deleted vaults', async () => {
    const { azure, arm } = await startBed()
    const { application, permissions, subscriptionId, location } = azure
    permissions.grant(application.objectId, 'Owner', `/subscriptions/${subscriptionId}`)
    const vault = azure.addVault({ name: 'kv-policies', rbac: false })
    const policy = (objectId: string, ...keys: string[]): JsonObject => ({ objectId, permissions: { keys } })
    const add = (accessPolicies: readonly JsonObject[]): ReturnType<typeof arm> =>
      arm('PUT', `${vault.id}/accessPolicies/add`, { properties: { accessPolicies } })
    await add([policy('a', 'get'), policy('b', 'list')])
    await add([policy('a', 'get', 'encrypt')])
    expect(vault.properties['accessPolicies']).toEqual([policy('a', 'get', 'encrypt'), policy('b', 'list')])

    const deleted = `/subscriptions/${subscriptionId}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/KV-policies`
    expect((await arm('GET', deleted)).status).toBe(404)
    azure.removeVault(vault)
    expect((await arm('GET', deleted)).body).toMatchObject({ properties: { vaultId: vault.id, location } })
    expect((await arm('GET', vault.id)).status).toBe(404)
    expect(errorOf((await arm('PUT', vault.id, { location, properties: {} })).body)).toBe('ConflictError')
  })
})

describe('a managed cluster', () => {
  test('is changed by a PUT that answers at once, while an operation goes on behind it', async () => {
    const { azure, arm, cluster, vault, controlPlane, read, putKms } = await setScene({}, { timeScale: 0.002 })
    const { id: keyId } = await vault.addKey('kms')
    const before = await read()

    const put = await putKms(publicKms(keyId))
    expect(put.status).toBe(200)
    expect(stateOf(put.body)).toEqual(['Updating', 'Updating', 'Updating'])
    expect(objectAt(put.body, 'properties', 'securityProfile')).toEqual({ azureKeyVaultKms: publicKms(keyId) })
    expect(put.body['eTag']).not.toBe(before['eTag'])
    expect(put.headers).not.toHaveProperty('retry-after')
    expect(put.headers).not.toHaveProperty('location')
    expect(controlPlane.rolls).toEqual([])

    const url = new URL(put.headers['azure-asyncoperation'] ?? '')
    expect([...url.searchParams.keys()]).toEqual(['api-version', 't', 'c', 's', 'h'])
    expect(url.href.length).toBeGreaterThan(3000)
    const poll = (): ReturnType<typeof arm> => arm('GET', `${url.pathname}${url.search}`)
    expect((await poll()).body).toMatchObject({ status: 'InProgress', startTime: expect.any(String) })
    expect((await arm('GET', `${url.pathname}?api-version=2025-03-01`)).status).toBe(403)

    await cluster.settled()
    expect((await poll()).body).toMatchObject({ status: 'Succeeded', endTime: expect.any(String) })
    expect(controlPlane.rolls).toEqual([
      [{ kind: 'kms', apiVersion: 'v2', name: 'azurekms0', keyId }, { kind: 'identity' }]
    ])
    const after = await read()
    expect(stateOf(after)).toEqual(['Succeeded', 'Succeeded', 'Succeeded'])
    expect(after['eTag']).not.toBe(put.body['eTag'])
    expect(azure.writes).toMatchObject([{ method: 'PUT', path: cluster.id, status: 200 }])
  })

  test('keeps every property that was sent, known or not, and loses those that were not', async () => {
    const { arm, cluster, read } = await setScene({
      edit: (body) =>
        replaceAt(replaceAt(body, ['properties', 'futureProfile'], { mode: 'Auto' }), ['extra'], [1, null, 'x'])
    })
    const before = await read()
    await arm('PUT', cluster.id, before)
    await cluster.settled()
    expect(withoutTags(await read())).toEqual(withoutTags(before))

    const forgetful = replaceAt(before, ['properties', 'futureProfile'], undefined)
    const meddling = replaceAt(forgetful, ['properties', 'fqdn'], 'mine.example')
    await arm('PUT', cluster.id, meddling)
    await cluster.settled()
    expect(withoutTags(await read())).toEqual(withoutTags(forgetful))
  })

  test('shows recorded clusters as they were recorded', async () => {
    const recordings = new URL('../fixtures/recordings/managed-clusters.json', import.meta.url)
    const recorded = JSON.parse(await readFile(recordings, 'utf8')) as { recording: string; body: JsonObject }[]
    const { azure, arm } = await startBed({
      subscriptionId: '00000000-0000-0000-0000-000000000000',
      resourceGroup: 'clitest000001'
    })
    azure.permissions.grant(azure.application.objectId, 'Reader', `/subscriptions/${azure.subscriptionId}`)
    expect(recorded.length).toBeGreaterThan(0)
    for (const { recording, body } of recorded) {
      const cluster = azure.addCluster({ edit: () => body })
      const [apiVersion = ''] = /\d{4}-\d{2}-\d{2}(-preview)?$/.exec(recording) ?? []
      expect(withoutTags((await arm('GET', `${cluster.id}?api-version=${apiVersion}`)).body)).toEqual(withoutTags(body))
      azure.removeCluster(cluster)
    }
  })

  test('shows what a version of the API knows', async () => {
    const profile = ['properties', 'securityProfile', 'kubernetesResourceObjectEncryptionProfile']
    const { arm, cluster, read } = await setScene({
      edit: (body) => replaceAt(body, profile, { infrastructureEncryption: 'Enabled' })
    })
    expect(await read('2024-02-01')).not.toHaveProperty('eTag')
    const stable = await read()
    expect(objectAt(stable, 'properties', 'securityProfile')).toEqual({})
    await arm('PUT', cluster.id, stable)
    await cluster.settled()
    expect(objectAt(await read(PREVIEW), ...profile)).toEqual({ infrastructureEncryption: 'Enabled' })
  })

  test('is not changed by whoever comes too late', async () => {
    const { azure, arm, cluster, vault, read, putKms } = await setScene()
    const { id: keyId } = await vault.addKey('kms')
    const stale = await read()
    cluster.change((body) => replaceAt(body, ['tags', 'touched'], 'yes'))
    const put = (headers: Record<string, string>): ReturnType<typeof arm> => arm('PUT', cluster.id, stale, headers)
    expect(await put({ 'if-match': textAt(stale, 'eTag') })).toMatchObject({
      status: 412,
      body: { code: 'PreconditionFailed' }
    })
    expect((await put({ 'if-none-match': '*' })).status).toBe(412)
    const { application, subscriptionId } = azure
    azure.permissions.grant(application.objectId, 'Contributor', `/subscriptions/${subscriptionId}`)
    expect((await arm('PUT', `${cluster.id}x`, { location: 'x' }, { 'if-match': '*' })).status).toBe(412)

    expect((await putKms(publicKms(keyId))).status).toBe(200)
    expect(await putKms(publicKms(keyId))).toMatchObject({ status: 409, body: { code: 'OperationNotAllowed' } })
    await cluster.settled()
    cluster.setPowerState('Stopped')
    expect(await putKms(publicKms(keyId))).toMatchObject({ status: 409, body: { code: 'OperationNotAllowed' } })
  })

  test('is changed only by who may use the things it refers to', async () => {
    const { azure, cluster, vault, putKms } = await setScene()
    const { id: keyId } = await vault.addKey('kms')
    const identity = azure.identityOf(cluster)
    azure.permissions.revoke(azure.application.objectId, 'Managed Identity Operator', identity.id)
    const refused = await putKms(publicKms(keyId))
    expect(refused).toMatchObject({ status: 403, body: { error: { code: 'LinkedAuthorizationFailed' } } })
    expect(textAt(refused.body, 'error', 'message')).toContain(
      `'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '${identity.id}'`
    )
  })

  test('holds two keys: a third one takes the place of the first', async () => {
    const { cluster, vault, controlPlane, putKms } = await setScene()
    const [a, b, c] = [await vault.addKey('kms'), await vault.addKey('kms'), await vault.addKey('kms')]
    const rotate = async (keyId: string): Promise<readonly (string | undefined)[]> => {
      expect((await putKms(publicKms(keyId))).status).toBe(200)
      await cluster.settled()
      return (controlPlane.rolls.at(-1) ?? []).map((one) =>
        one.kind === 'kms' ? `${one.name} ${one.keyId}` : one.kind
      )
    }
    expect(await rotate(a.id)).toEqual([`azurekms0 ${a.id}`, 'identity'])
    expect(await rotate(b.id)).toEqual([`azurekms1 ${b.id}`, `azurekms0 ${a.id}`, 'identity'])
    expect(await rotate(a.id)).toEqual([`azurekms0 ${a.id}`, `azurekms1 ${b.id}`, 'identity'])
    expect(await rotate(b.id)).toEqual([`azurekms1 ${b.id}`, `azurekms0 ${a.id}`, 'identity'])
    expect(await rotate(c.id)).toEqual([`azurekms0 ${c.id}`, `azurekms1 ${b.id}`, 'identity'])

    await putKms({ enabled: false })
    await cluster.settled()
    expect(controlPlane.rolls.at(-1)?.map(({ kind }) => kind)).toEqual(['identity', 'kms', 'kms'])
    const rolls = controlPlane.rolls.length
    await putKms({ enabled: false })
    await cluster.settled()
    expect(controlPlane.rolls).toHaveLength(rolls)
  })

  test('is stuck as long as a Secret hangs on the key that has to go', async () => {
    const { arm, cluster, vault, controlPlane, read, putKms } = await setScene()
    const [a, b, c] = [await vault.addKey('kms'), await vault.addKey('kms'), await vault.addKey('kms')]
    for (const { id } of [a, b]) {
      await putKms(publicKms(id))
      await cluster.settled()
    }
    controlPlane.secrets = [secretUnder('k8s:enc:kms:v2:azurekms0', a.id)]
    const put = await putKms(publicKms(c.id))
    const url = new URL(put.headers['azure-asyncoperation'] ?? '')
    await waitFor(() => cluster.stuck)
    expect((await arm('GET', url.pathname + url.search)).body).toMatchObject({ status: 'InProgress' })
    expect(stateOf(await read())[0]).toBe('Updating')
    expect(controlPlane.rolls).toHaveLength(2)
    expect((await putKms(publicKms(b.id))).status).toBe(409)

    cluster.retryStuck()
    await waitFor(() => cluster.stuck)
    controlPlane.secrets = [
      secretUnder('k8s:enc:kms:v2:azurekms1', b.id),
      secretUnder('identity', undefined),
      secretUnder('k8s:enc:kms:v2:azurekms0', 'a key that was in this slot long before')
    ]
    cluster.retryStuck()
    await cluster.settled()
    expect(controlPlane.rolls).toHaveLength(3)
    expect(stateOf(await read())[0]).toBe('Succeeded')
  })

  test('sees KMS v1 values by the name of their slot', async () => {
    const { cluster, vault, controlPlane, putKms } = await setScene({ kubernetesVersion: '1.26.9' })
    const [a, b, c] = [await vault.addKey('kms'), await vault.addKey('kms'), await vault.addKey('kms')]
    for (const { id } of [a, b]) {
      await putKms(publicKms(id))
      await cluster.settled()
    }
    expect(controlPlane.rolls.at(-1)).toMatchObject([{ apiVersion: 'v1' }, { apiVersion: 'v1' }, { kind: 'identity' }])
    controlPlane.secrets = [secretUnder('k8s:enc:kms:v1:azurekms0', undefined)]
    await putKms(publicKms(c.id))
    await waitFor(() => cluster.stuck)
  })

  describe('refuses a KMS profile', () => {
    const vnetOff = { vnetIntegration: false }
    test.each<
      [string, string, string, Parameters<Azure['addCluster']>[0], (keyId: string, vaultId: string) => JsonObject]
    >([
      [
        'of a system-assigned identity',
        'BadRequest',
        "AzureKeyVaultKms feature does not support cluster identity type SystemAssigned, supported value is 'UserAssigned'",
        { identity: 'SystemAssigned' },
        publicKms
      ],
      [
        'without network access',
        'BadRequest',
        'KeyVault network access is unspecified for Azure Key Vault KMS.',
        {},
        (keyId) => ({ enabled: true, keyId })
      ],
      ['without a version', 'BadRequest', 'KeyId is not', {}, (keyId) => publicKms(keyId.replace(/\/[^/]+$/, ''))],
      [
        'Private without a vault',
        'BadRequest',
        'KeyVault resource ID is empty when KeyVault network access is Private.',
        {},
        (keyId) => ({ enabled: true, keyId, keyVaultNetworkAccess: 'Private' })
      ],
      [
        'Private without VNet integration',
        'BadRequest',
        'Vnet integration should be enabled when KeyVault network access is Private.',
        vnetOff,
        (keyId, keyVaultResourceId) => ({ enabled: true, keyId, keyVaultNetworkAccess: 'Private', keyVaultResourceId })
      ]
    ])('%s', async (_name, code, message, options, kms) => {
      const { cluster, vault, putKms } = await setScene(options)
      const { id: keyId } = await vault.addKey('kms')
      const refused = await putKms(kms(keyId, vault.id))
      expect(refused).toMatchObject({ status: 400, body: { code, details: null, subcode: '' } })
      expect(textAt(refused.body, 'message')).toContain(message)
      expect(cluster.operation).toBeUndefined()
    })

    test.each<[string, (scene: Scene) => Promise<string>]>([
      ['an EC key', async ({ vault }) => (await vault.addKey('kms', { type: 'EC' })).id],
      ['a disabled key', async ({ vault }) => (await vault.addKey('kms', { enabled: false })).id],
      ['an expired key', async ({ vault }) => (await vault.addKey('kms', { expires: 1 })).id],
      ['a key not yet valid', async ({ vault }) => (await vault.addKey('kms', { notBefore: 4e9 })).id],
      ['a key that must not encrypt', async ({ vault }) => (await vault.addKey('kms', { operations: ['wrapKey'] })).id],
      ['a key that is not there', async ({ vault }) => `${vault.url}/keys/kms/00000000000000000000000000000000`],
      ['a vault that is not there', async () => 'https://kv-nowhere.vault.azure.net/keys/kms/0000'],
      [
        'a vault behind a firewall',
        async ({ vault }) => {
          vault.setProperties({ networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices', ipRules: [] } })
          return (await vault.addKey('kms')).id
        }
      ],
      [
        'an identity that may only read',
        async ({ azure, cluster, vault }) => {
          const { objectId } = azure.identityOf(cluster)
          azure.permissions.revoke(objectId, 'Key Vault Crypto User', vault.id)
          azure.permissions.grant(objectId, 'Key Vault Reader', vault.id)
          return (await vault.addKey('kms')).id
        }
      ],
      [
        'an identity with the encryption user role',
        async ({ azure, cluster, vault }) => {
          const { objectId } = azure.identityOf(cluster)
          azure.permissions.revoke(objectId, 'Key Vault Crypto User', vault.id)
          azure.permissions.grant(objectId, 'Key Vault Crypto Service Encryption User', vault.id)
          return (await vault.addKey('kms')).id
        }
      ]
    ])('with the one misleading error for %s', async (_name, arrange) => {
      const scene = await setScene()
      const refused = await scene.putKms(publicKms(await arrange(scene)))
      expect(refused.status).toBe(400)
      expect(textAt(refused.body, 'code')).toBe('AzureKeyVaultKmsValidateIdentityPermissionCustomerError')
      expect(textAt(refused.body, 'message')).toMatch(
        /^The identity does not have keys encrypt\/decrypt permission on key vault "https:\/\/.+\.vault\.azure\.net"$/
      )
    })
  })

  test('works with a Private vault through an endpoint of its own, unseen from outside', async () => {
    const { azure, cluster, vault, kv, putKms } = await setScene()
    const { id: keyId } = await vault.addKey('kms')
    vault.setProperties({ publicNetworkAccess: 'Disabled' })
    const kms = { enabled: true, keyId, keyVaultNetworkAccess: 'Private', keyVaultResourceId: vault.id }
    expect(errorOf((await kv('GET', keyId)).body)).toBe('Forbidden/ForbiddenByConnection')

    const { objectId } = azure.identityOf(cluster)
    azure.permissions.revoke(objectId, 'Key Vault Contributor', vault.id)
    expect((await putKms(kms)).status).toBe(200)
    await cluster.settled()
    expect(stateOf(cluster.body)).toEqual(['Failed', 'Failed', 'Failed'])
    azure.permissions.grant(objectId, 'Key Vault Contributor', vault.id)
    expect((await putKms(kms)).status).toBe(200)
    await cluster.settled()
    expect(stateOf(cluster.body)[0]).toBe('Succeeded')
    const sealed = await cluster.keyOperations.encrypt(keyId, Buffer.from('x'))
    expect(Buffer.from(await cluster.keyOperations.decrypt(keyId, sealed)).toString()).toBe('x')
    const other = azure.addCluster()
    azure.permitKms(other, vault)
    await expect(other.keyOperations.encrypt(keyId, Buffer.from('x'))).rejects.toThrow(
      'Public network access is disabled'
    )
  })

  test('fails where the mode of the attached vault is changed in place', async () => {
    const { arm, cluster, vault, controlPlane, putKms } = await setScene()
    const { id: keyId } = await vault.addKey('kms')
    await putKms(publicKms(keyId))
    await cluster.settled()
    const put = await putKms({ enabled: true, keyId, keyVaultNetworkAccess: 'Private', keyVaultResourceId: vault.id })
    expect(put.status).toBe(200)
    await cluster.settled()
    const url = new URL(put.headers['azure-asyncoperation'] ?? '')
    expect((await arm('GET', url.pathname + url.search)).body).toMatchObject({
      status: 'Failed',
      error: { code: 'InternalOperationError', message: 'Internal server error' }
    })
    expect(stateOf(cluster.body)[0]).toBe('Failed')
    expect(controlPlane.rolls).toHaveLength(1)
  })

  test('fails, showing the new key, where the vault refuses it between', async () => {
    const { cluster, vault, controlPlane, putKms, read } = await setScene({}, { timeScale: 0.001 })
    const key = await vault.addKey('kms')
    await putKms(publicKms(key.id))
    key.enabled = false
    await cluster.settled()
    expect(cluster.operation?.state).toBe('failed')
    const body = await read()
    expect(stateOf(body)).toEqual(['Failed', 'Failed', 'Failed'])
    expect(textAt(body, 'properties', 'securityProfile', 'azureKeyVaultKms', 'keyId')).toBe(key.id)
    expect(controlPlane.rolls).toEqual([])
    key.enabled = true
    await putKms(publicKms(key.id))
    await cluster.settled()
    expect(stateOf(await read())[0]).toBe('Succeeded')
  })

  test('fails when told, before its API servers change or after', async () => {
    const { cluster, vault, controlPlane, putKms } = await setScene()
    const { id: keyId } = await vault.addKey('kms')
    cluster.failNextOperation({ code: 'Boom', message: 'Told to.' })
    await putKms(publicKms(keyId))
    await cluster.settled()
    expect([cluster.operation?.state, controlPlane.rolls.length]).toEqual(['failed', 0])
    cluster.failNextOperation({ code: 'Boom', message: 'Told to.', afterRoll: true })
    await putKms(publicKms(keyId))
    await cluster.settled()
    expect([cluster.operation?.state, controlPlane.rolls.length]).toEqual(['failed', 1])
    await cluster.changeKms(publicKms(keyId))
    expect(cluster.operation?.state).toBe('succeeded')
  })

  test('is upgraded minor by minor, and not over the end of KMS v1 while that is on', async () => {
    const { arm, cluster, vault, controlPlane, read } = await setScene({ kubernetesVersion: '1.25.6' })
    const { id: keyId } = await vault.addKey('kms')
    await cluster.changeKms(publicKms(keyId))
    const upgrade = async (version: string): ReturnType<typeof arm> => {
      const body = replaceAt(await read(), ['properties', 'kubernetesVersion'], version)
      return arm('PUT', cluster.id, body)
    }
    const profile = await arm('GET', `${cluster.id}/upgradeProfiles/default`)
    expect(
      listAt(profile.body, 'properties', 'controlPlaneProfile', 'upgrades').map((one) =>
        textAt(one, 'kubernetesVersion')
      )
    ).toEqual(['1.26.9', '1.26.6', '1.25.9'])

    expect(await upgrade('1.27.6')).toMatchObject({
      status: 400,
      body: {
        code: 'OperationNotAllowed',
        message:
          'Upgrading Kubernetes version 1.25.6 to 1.27.6 is not allowed. Available upgrades: [1.26.9 1.26.6 1.25.9]. Please see https://aka.ms/aks-supported-k8s-ver for version details.'
      }
    })
    const to26 = await upgrade('1.26')
    expect(stateOf(to26.body)[0]).toBe('Upgrading')
    expect(textAt(to26.body, 'properties', 'currentKubernetesVersion')).toBe('1.25.6')
    await cluster.settled()
    expect(textAt(await read(), 'properties', 'currentKubernetesVersion')).toBe('1.26.9')
    expect(controlPlane.rolls.at(-1)).toMatchObject([{ apiVersion: 'v1', keyId }, { kind: 'identity' }])
    expect(await upgrade('1.27.9')).toMatchObject({ status: 400, body: { code: 'OperationNotAllowed' } })

    await cluster.changeKms({ enabled: false })
    const ahead = replaceAt(
      await read(),
      ['properties', 'agentPoolProfiles'],
      [{ name: 'work', orchestratorVersion: '1.28.6' }]
    )
    expect((await arm('PUT', cluster.id, ahead)).body).toMatchObject({ code: 'NodePoolMcVersionIncompatible' })
    expect((await upgrade('1.27.9')).status).toBe(200)
    await cluster.settled()
    expect(controlPlane.rolls.at(-1)).toMatchObject([{ kind: 'identity' }, { apiVersion: 'v2', keyId }])
    expect((await upgrade('1.26.9')).body).toMatchObject({ message: expect.stringMatching(/^Downgrading /) })
  })

  test('hands out credentials: to administrators unless local accounts are off, to others through kubelogin', async () => {
    const { azure, arm, cluster } = await setScene({ disableLocalAccounts: true })
    const kubeconfigOf = ({ body }: { body: JsonObject }): string =>
      Buffer.from(textAt(listAt(body, 'kubeconfigs')[0], 'value'), 'base64').toString()
    expect((await arm('POST', `${cluster.id}/listClusterAdminCredential`)).status).toBe(403)
    azure.permissions.grant(azure.application.objectId, 'Azure Kubernetes Service Cluster Admin Role', cluster.id)
    expect(await arm('POST', `${cluster.id}/listClusterAdminCredential`)).toMatchObject({
      status: 400,
      body: { code: 'BadRequest', message: expect.stringContaining('disable local accounts') }
    })
    const user = kubeconfigOf(await arm('POST', `${cluster.id}/listClusterUserCredential?format=exec`))
    expect(user).toContain('command: kubelogin')
    expect(user).toContain('server: https://127.0.0.1:6443')
    cluster.change((body) => replaceAt(body, ['properties', 'disableLocalAccounts'], false))
    const admin = kubeconfigOf(await arm('POST', `${cluster.id}/listClusterAdminCredential`))
    expect(admin).toContain(`client-key-data: ${Buffer.from('KEY').toString('base64')}`)
    expect(azure.writes).toEqual([])
  })

  test('knows who its API tokens belong to', async () => {
    const { azure } = await startBed()
    const cluster = azure.addCluster()
    const { application, entra, permissions } = azure
    const token = entra.issueAccessToken(application, '6dae42f8-4368-4678-94ff-3960e28e3630')
    expect(cluster.authenticateToken(token)).toEqual({ username: application.objectId, groups: [] })
    permissions.grant(application.objectId, 'Azure Kubernetes Service RBAC Writer', cluster.id)
    expect(cluster.authenticateToken(token)?.groups).toEqual([KUBERNETES_OPERATORS])
    expect(cluster.authenticateToken(entra.issueAccessToken(application, 'https://vault.azure.net'))).toBeUndefined()
    expect(azure.addCluster({ aad: false }).authenticateToken(token)).toBeUndefined()
  })

  test('is born encrypted where it is asked to be', async () => {
    const controlPlane = fakeControlPlane()
    const asked: EncryptionConfiguration[] = []
    const { azure, arm } = await startBed({
      createControlPlane: async (cluster) => {
        asked.push(cluster.encryption)
        return controlPlane
      }
    })
    azure.permissions.grant(azure.application.objectId, 'Contributor', `/subscriptions/${azure.subscriptionId}`)
    const identity = azure.addIdentity()
    const vault = azure.addVault()
    azure.permissions.grant(identity.objectId, 'Key Vault Crypto User', vault.id)
    const { id: keyId } = await vault.addKey('kms')
    const id = `/subscriptions/${azure.subscriptionId}/resourceGroups/${azure.resourceGroup}/providers/Microsoft.ContainerService/managedClusters/fresh`
    const created = await arm('PUT', id, {
      location: 'westeurope',
      identity: { type: 'UserAssigned', userAssignedIdentities: { [identity.id]: {} } },
      properties: {
        kubernetesVersion: '1.32',
        agentPoolProfiles: [{ name: 'system', mode: 'System', count: 1 }],
        securityProfile: { azureKeyVaultKms: publicKms(keyId) }
      }
    })
    expect(created.status).toBe(201)
    expect(stateOf(created.body)).toEqual(['Creating', 'Creating'])
    await azure.clusters[0]?.settled()
    expect(asked).toEqual([[{ kind: 'kms', apiVersion: 'v2', name: 'azurekms0', keyId }, { kind: 'identity' }]])
    expect(controlPlane.rolls).toEqual([])
    const list = await arm(
      'GET',
      `/subscriptions/${azure.subscriptionId}/providers/Microsoft.ContainerService/managedClusters`
    )
    expect(listAt(list.body, 'value')).toMatchObject([
      { name: 'fresh', properties: { provisioningState: 'Succeeded', currentKubernetesVersion: '1.32.9' } }
    ])
  })
})

describe('Key Vault', () => {
  let bed: Bed
  let vault: Vault
  beforeEach(async () => {
    bed = await startBed()
    vault = bed.azure.addVault({ properties: { softDeleteRetentionInDays: 7 } })
    bed.azure.permissions.grant(bed.azure.application.objectId, 'Key Vault Crypto Officer', vault.id)
  })

  test('challenges whoever comes without a token for it', async () => {
    const { azure, call } = bed
    const key = await vault.addKey('kms')
    const challenged = await call('POST', `${vault.url}/keys/kms/create?api-version=7.6`)
    expect(challenged.status).toBe(401)
    expect(challenged.headers['www-authenticate']).toBe(
      `Bearer authorization="https://login.microsoftonline.com/${azure.tenantId}", resource="https://vault.azure.net"`
    )
    expect(challenged.headers['x-ms-keyvault-region']).toBe('westeurope')
    expect(textAt(challenged.body, 'error', 'message')).toBe('AKV10000: Request is missing a Bearer or PoP token.')
    const forArm = azure.entra.issueAccessToken(azure.application, 'https://management.azure.com')
    expect((await call('GET', `${key.id}?api-version=7.6`, { token: forArm })).status).toBe(401)
    expect(azure.writes).toEqual([])
  })

  test('makes, lists, rotates, changes, deletes and recovers keys', async () => {
    const { kv } = bed
    const made = await kv('POST', `${vault.url}/keys/kms/create`, { kty: 'RSA', attributes: { enabled: true } })
    const first = textAt(made.body, 'key', 'kid')
    expect(first).toMatch(/^https:\/\/.+\.vault\.azure\.net\/keys\/kms\/[0-9a-f]{32}$/)
    expect(made.body).toMatchObject({
      key: { kty: 'RSA', key_ops: ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'], e: 'AQAB' },
      attributes: { enabled: true, recoveryLevel: 'CustomizedRecoverable+Purgeable', recoverableDays: 7 }
    })
    await kv('PUT', `${vault.url}/keys/kms/rotationpolicy`, {
      lifetimeActions: [{ trigger: { timeAfterCreate: 'P60D' }, action: { type: 'Rotate' } }],
      attributes: { expiryTime: 'P90D' }
    })
    const rotated = await kv('POST', `${vault.url}/keys/kms/rotate`)
    const { created, exp } = objectAt(rotated.body, 'attributes')
    expect(Number(exp) - Number(created)).toBe(90 * 86_400)
    const second = textAt(rotated.body, 'key', 'kid')
    expect(textAt((await kv('GET', `${vault.url}/keys/kms/`)).body, 'key', 'kid')).toBe(second)
    await kv('PATCH', second, { attributes: { enabled: false } })
    expect((await kv('GET', second)).body).toMatchObject({ attributes: { enabled: false } })

    const listed = await kv('GET', `${vault.url}/keys/kms/versions`)
    expect(listAt(listed.body, 'value').map((one) => textAt(one, 'kid'))).toEqual([first, second].toSorted())
    expect(listed.body['nextLink']).toBeNull()

    expect((await kv('DELETE', `${vault.url}/keys/kms`)).body).toMatchObject({
      recoveryId: `${vault.url}/deletedkeys/kms`
    })
    expect(errorOf((await kv('GET', first)).body)).toBe('KeyNotFound')
    expect(errorOf((await kv('POST', `${vault.url}/keys/kms/create`, { kty: 'RSA' })).body)).toBe(
      'Conflict/ObjectIsDeletedButRecoverable'
    )
    expect((await kv('POST', `${vault.url}/deletedkeys/kms/recover`)).status).toBe(200)
    expect(errorOf((await kv('POST', `${vault.url}/deletedkeys/kms/recover`)).body)).toBe(
      'Conflict/ObjectIsBeingRecovered'
    )
    await eventually(async () => (await kv('GET', first)).status === 200)
    expect(errorOf((await kv('GET', `${vault.url}/keys/none/`)).body)).toBe('KeyNotFound')
  })

  test('pages through versions with a link', async () => {
    const { azure, kv, call } = bed
    const made = [await vault.addKey('kms'), await vault.addKey('kms'), await vault.addKey('kms')]
    const token = azure.entra.issueAccessToken(azure.application, 'https://vault.azure.net')
    const seen: string[] = []
    let next = `${vault.url}/keys/kms/versions?maxresults=2&api-version=7.6`
    while (next !== '') {
      const { body } = await call('GET', next, { token })
      seen.push(...listAt(body, 'value').map((one) => textAt(one, 'kid')))
      next = textAt(body, 'nextLink')
    }
    expect(seen.toSorted()).toEqual(made.map(({ id }) => id).toSorted())
    expect((await kv('GET', `${vault.url}/keys`)).body).toMatchObject({ value: [{ kid: `${vault.url}/keys/kms` }] })
  })

  test.each(['RSA-OAEP-256', 'RSA1_5'])('encrypts and decrypts with %s, as far as the key allows', async (alg) => {
    const { kv } = bed
    const key = await vault.addKey('kms')
    const value = Buffer.from('secret').toString('base64url')
    const sealed = textAt((await kv('POST', `${key.id}/encrypt`, { alg, value })).body, 'value')
    const open = (): ReturnType<typeof kv> => kv('POST', `${key.id}/decrypt`, { alg, value: sealed })
    expect((await open()).body).toEqual({ kid: key.id, value })
    key.expires = 1000
    expect(errorOf((await kv('POST', `${key.id}/encrypt`, { alg, value })).body)).toBe('Forbidden/KeyExpired')
    expect((await open()).status).toBe(200)
    key.enabled = false
    expect(errorOf((await open()).body)).toBe('Forbidden/KeyDisabled')
  })

  test('lets in by role or by access policy, and by network', async () => {
    const { azure, kv, arm } = bed
    const { objectId } = azure.application
    const key = await vault.addKey('kms')
    azure.permissions.revoke(objectId, 'Key Vault Crypto Officer', vault.id)
    const refused = await kv('GET', key.id)
    expect(errorOf(refused.body)).toBe('Forbidden/ForbiddenByRbac')
    expect(textAt(refused.body, 'error', 'message')).toContain("Action: 'Microsoft.KeyVault/vaults/keys/read'")
    azure.permissions.grant(objectId, 'Key Vault Reader', vault.id)
    expect((await kv('GET', key.id)).status).toBe(200)
    const value = Buffer.from('x').toString('base64url')
    expect((await kv('POST', `${key.id}/encrypt`, { alg: 'RSA-OAEP-256', value })).status).toBe(200)
    expect((await kv('POST', `${key.id}/decrypt`, { alg: 'RSA-OAEP-256', value })).status).toBe(403)

    vault.setProperties({ enableRbacAuthorization: false })
    expect(errorOf((await kv('GET', key.id)).body)).toBe('Forbidden/AccessDenied')
    vault.setProperties({ accessPolicies: [{ tenantId: azure.tenantId, objectId, permissions: { keys: ['Get'] } }] })
    expect((await kv('GET', key.id)).status).toBe(200)
    expect((await kv('POST', `${vault.url}/keys/kms/rotate`)).status).toBe(403)

    vault.setProperties({ networkAcls: { defaultAction: 'Deny', ipRules: [] } })
    expect(errorOf((await kv('GET', key.id)).body)).toBe('Forbidden/ForbiddenByFirewall')
    vault.setProperties({ networkAcls: { defaultAction: 'Deny', ipRules: [{ value: '20.102.3.4/32' }] } })
    expect((await kv('GET', key.id)).status).toBe(200)
    vault.setProperties({ publicNetworkAccess: 'Disabled' })
    expect(errorOf((await kv('GET', key.id)).body)).toBe('Forbidden/ForbiddenByConnection')

    azure.permissions.grant(objectId, 'Reader', vault.id)
    const seen = await arm('GET', `${vault.id}/keys/kms/versions`)
    expect(listAt(seen.body, 'value')).toMatchObject([{ properties: { keyUriWithVersion: key.id, kty: 'RSA' } }])
    vault.setProperties({ enableRbacAuthorization: true })
    azure.permissions.revoke(objectId, 'Key Vault Reader', vault.id)
    expect(await arm('GET', `${vault.id}/keys/kms`)).toMatchObject({
      status: 400,
      body: { error: { code: 'ForbiddenByRbac' } }
    })
  })

  test('goes by access policies where the vault does', async () => {
    const { azure, kv } = bed
    const old = azure.addVault({ rbac: false })
    const key = await old.addKey('kms')
    const cluster = azure.addCluster()
    await expect(cluster.keyOperations.encrypt(key.id, Buffer.from('x'))).rejects.toThrow('does not have keys encrypt')
    azure.permitKms(cluster, old)
    azure.permitOperator(cluster, old)
    expect(await cluster.keyOperations.encrypt(key.id, Buffer.from('x'))).toHaveLength(256)
    expect((await kv('POST', `${old.url}/keys/kms/rotate`)).status).toBe(200)
    expect(errorOf((await kv('DELETE', `${old.url}/keys/kms`)).body)).toBe('Forbidden/AccessDenied')
  })

  test('gives KMS plugins what the identity of the cluster may do', async () => {
    const { azure } = bed
    const cluster = azure.addCluster()
    const key = await vault.addKey('kms')
    await expect(cluster.keyOperations.encrypt(key.id, Buffer.from('x'))).rejects.toThrow('Caller is not authorized')
    azure.permitKms(cluster, vault)
    const sealed = await cluster.keyOperations.encrypt(key.id, Buffer.from('x'))
    expect(Buffer.from(await cluster.keyOperations.decrypt(key.id, sealed)).toString()).toBe('x')
    key.enabled = false
    await expect(cluster.keyOperations.decrypt(key.id, sealed)).rejects.toThrow('not allowed on a disabled key')
  })
})

describe('trouble on the way', () => {
  test('befalls the requests it is meant for', async () => {
    const { azure, arm, cluster, vault, putKms } = await setScene({}, { timeScale: 0.002 })
    const { id: keyId } = await vault.addKey('kms')
    azure.disturb(faults.clusterWrites(1, answers.etagMismatch))
    expect(await putKms(publicKms(keyId))).toMatchObject({ status: 409, body: { code: 'EtagMismatch' } })
    azure.disturb(faults.clusterWrites(1, answers.throttled(7)))
    expect(await putKms(publicKms(keyId))).toMatchObject({ status: 429, headers: { 'retry-after': '7' } })
    expect(cluster.operation).toBeUndefined()

    azure.disturb(faults.clusterWriteAnswerLost())
    await expect(putKms(publicKms(keyId))).rejects.toThrow('ECONNRESET')
    expect(stateOf(cluster.body)[0]).toBe('Updating')
    expect(azure.writes.map(({ status }) => status)).toEqual([409, 429, 0])

    azure.disturb(faults.polls(1, answers.badGateway))
    azure.disturb({ ...faults.polls(1, 'reset'), skip: 1 })
    const url = new URL(cluster.operation?.url ?? '')
    const poll = (): ReturnType<typeof arm> => arm('GET', url.pathname + url.search)
    expect((await poll()).status).toBe(502)
    expect((await poll()).status).toBe(200)
    await expect(poll()).rejects.toThrow('ECONNRESET')
    expect((await poll()).status).toBe(200)

    azure.disturb({
      url: /managedClusters/,
      meanwhile: () => cluster.change((body) => replaceAt(body, ['tags', 'touched'], 'yes'))
    })
    expect((await arm('GET', cluster.id)).body).toMatchObject({ tags: { touched: 'yes' } })
  })
})

describe('the network', () => {
  test('leads known names to the bed and no other name anywhere', async () => {
    const network = await startNetwork({ certificateAuthority: await createCertificateAuthority() })
    network.serve('known.example', () => ({ status: 200, body: {} }))
    const statusLine = (target: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(network.proxyUrl)
        const socket = connect(Number(port), hostname, () =>
          socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
        )
        socket.on('error', reject)
        socket.once('data', (data) => {
          resolve(data.toString().split('\r\n')[0] ?? '')
          socket.destroy()
        })
      })
    try {
      expect(await statusLine('known.example:443')).toBe('HTTP/1.1 200 Connection Established')
      expect(await statusLine('telemetry.example:443')).toBe('HTTP/1.1 502 Bad Gateway')
      expect(network.refused).toEqual(['telemetry.example:443'])
      expect(network.connected).toEqual(['known.example:443'])
    } finally {
      await network.close()
    }
  })

  test.each([
    ['the public cloud', PUBLIC_CLOUD, false],
    ['the US Government cloud', US_GOVERNMENT_CLOUD, false],
    ['the China cloud', CHINA_CLOUD, false],
    ['an air-gapped cloud', AIR_GAPPED_CLOUD, true]
  ])(
    'carries the real SDKs to %s',
    async (_name, cloud, disableInstanceDiscovery) => {
      const outcome = await runSdks(cloud, disableInstanceDiscovery)
      expect(outcome.refused).toEqual([])
      expect(outcome.faults).toEqual([])
      const seen = JSON.parse(outcome.output) as Record<string, unknown>
      expect(seen).toMatchObject({ read: '200', put: '200', rotated: outcome.newestKey })
      expect(seen['statuses']).toContain('Succeeded')
      expect(outcome.group).toEqual([KUBERNETES_OPERATORS])
      expect(outcome.exchanges).toBe(3)
      expect(outcome.freshAssertions).toBe(3)
    },
    CHILD_PROCESS
  )

  test(
    'shows that instance discovery asks the public cloud about every other',
    async () => {
      const outcome = await runSdks(AIR_GAPPED_CLOUD, false)
      expect(outcome.output).toBe('')
      expect(new Set(outcome.refused)).toEqual(new Set(['login.microsoftonline.com:443']))
    },
    CHILD_PROCESS
  )

  async function runSdks(
    cloud: typeof PUBLIC_CLOUD,
    disableInstanceDiscovery: boolean
  ): Promise<{
    readonly output: string
    readonly refused: readonly string[]
    readonly faults: readonly unknown[]
    readonly newestKey: string | undefined
    readonly group: readonly string[] | undefined
    readonly exchanges: number
    readonly freshAssertions: number
  }> {
    github.setClaims({ sub: 'repo:octo/platform:ref:refs/heads/main' })
    github.setLifetime(300)
    const network = await startNetwork({ certificateAuthority: await createCertificateAuthority() })
    const azure = await startAzure({ network, github, cloud, timeScale: 0.002 })
    const vault = azure.addVault()
    const { id: keyId } = await vault.addKey('kms')
    const cluster = azure.addCluster()
    azure.permitKms(cluster, vault)
    azure.permitOperator(cluster, vault)
    const bed = {
      tenantId: azure.tenantId,
      clientId: azure.application.applicationId,
      authorityHost: `https://${cloud.authorityHost}`,
      resourceManager: `https://${cloud.resourceManagerHost}`,
      resourceManagerScope: `https://${cloud.resourceManagerHost}/.default`,
      assertionAudience: cloud.assertionAudience,
      disableInstanceDiscovery,
      subscriptionId: azure.subscriptionId,
      clusterId: cluster.id,
      vaultUrl: vault.url,
      keyId
    }
    try {
      const script = fileURLToPath(new URL('testbed-azure-sdk.ts', import.meta.url))
      const { stdout } = await promisify(execFile)(process.execPath, [script], {
        env: { PATH: process.env['PATH'], ...network.environment, ...github.environment, BED: JSON.stringify(bed) }
      }).catch(() => ({ stdout: '' }))
      const output = stdout.trim().split('\n').at(-1) ?? ''
      const token = output === '' ? '' : textAt(JSON.parse(output) as JsonObject, 'kubernetesToken')
      return {
        output,
        refused: [...network.refused],
        faults: [...network.failures],
        newestKey: vault.versions('kms').at(-1)?.id,
        group: cluster.authenticateToken(token)?.groups,
        exchanges: azure.entra.exchanges.length,
        freshAssertions: new Set(azure.entra.exchanges.map(({ assertion }) => assertion)).size
      }
    } finally {
      azure.close()
      await network.close()
    }
  }
})

async function waitFor(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('It did not come to that in five seconds.')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
