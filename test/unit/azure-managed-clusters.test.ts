import { RestError, type PipelineRequest } from '@azure/core-rest-pipeline'
import { describe, expect, test } from '@jest/globals'
import { withKmsProfile } from '../../src/azure/cluster-body.ts'
import { createManagedClusters, type ManagedClusters } from '../../src/azure/managed-clusters.ts'
import { API_VERSION, createResourceManager } from '../../src/azure/resource-manager.ts'
import { ActionError, ClusterChangedError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/model/json.ts'
import {
  cloudOf,
  fakeCredential,
  fakePause,
  fakeWire,
  fakeWireOf,
  PUBLIC_CLOUD,
  RECORDED_CLUSTERS,
  recordings,
  rejection,
  TOKEN,
  type Answer,
  type FakeWire
} from './azure-fakes.ts'

const NAME = { subscriptionId: '00000000-0000-0000-0000-000000000000', resourceGroup: 'clitest000001', name: 'aks1' }
const URL_OF_CLUSTER =
  'https://management.azure.com/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/clitest000001' +
  `/providers/Microsoft.ContainerService/managedClusters/aks1?api-version=${API_VERSION}`
const OPERATION =
  'https://management.azure.com/subscriptions/s/providers/Microsoft.ContainerService/locations/eastus/operations/op1' +
  '?api-version=2025-03-01&t=638957960310826420&c=MIIHpTCC%2b&s=sig%3D&h=whn86'
const PROFILE = {
  enabled: true,
  keyId: 'https://vault1.vault.azure.net/keys/kms/0123456789abcdef0123456789abcdef',
  networkAccess: 'Public',
  vaultResourceId: undefined
} as const

function clusters(wire: FakeWire, cloud = PUBLIC_CLOUD): ManagedClusters & { readonly waits: number[] } {
  const { pause, waits } = fakePause()
  const arm = createResourceManager(fakeCredential, cloud, NAME.subscriptionId, { httpClient: wire, pause })
  return { ...createManagedClusters(arm, NAME, pause), waits }
}

function body(state: string, more: JsonObject = {}): JsonObject {
  return { id: '/aks1', location: 'eastus', eTag: 'etag-1', properties: { provisioningState: state, ...more } }
}

const READY: Answer = { status: 200, body: body('Succeeded') }
const NONE: Answer = { status: 404, body: { error: { code: 'ResourceNotFound', message: 'x' } } }
const CURRENT = { body: body('Succeeded'), eTag: 'etag-1' }
const ACCEPTED: Answer = { status: 200, body: body('Updating'), headers: { 'Azure-AsyncOperation': OPERATION } }
const poll = (status: string, more: JsonObject = {}): Answer => ({
  status: 200,
  body: { name: 'op1', status, ...more }
})
const reset = new RestError('socket hang up', { code: 'ECONNRESET' })

/** A wire by method: the last answer of each list for ever. */
function wireOf(answers: { GET?: (Answer | Error)[]; PUT?: (Answer | Error)[]; poll?: (Answer | Error)[] }): FakeWire {
  const next = { GET: 0, PUT: 0, poll: 0 }
  return fakeWire(({ method, url }) => {
    const kind = url.includes('/operations/') ? 'poll' : method === 'PUT' ? 'PUT' : 'GET'
    const list = answers[kind] ?? []
    return list[Math.min(next[kind]++, list.length - 1)] ?? new Error(`nothing to answer to ${kind}`)
  })
}

const methods = (wire: FakeWire): string[] =>
  wire.sent.map(({ method, url }) => (url.includes('/operations/') ? 'poll' : method))

describe('read', () => {
  test('asks Resource Manager with a token, the pinned version and this action’s name', async () => {
    const wire = fakeWireOf(READY)
    expect(await clusters(wire).read()).toEqual(CURRENT)
    expect(wire.sent).toHaveLength(1)
    expect(wire.sent[0]).toMatchObject({ method: 'GET', url: URL_OF_CLUSTER })
    expect(wire.sent[0]?.headers).toMatchObject({ authorization: `Bearer ${TOKEN}` })
    expect(wire.sent[0]?.headers['user-agent']).toMatch(/^aks-kms-etcd-encryption /)
  })

  test('goes to the endpoint of the cloud, with a token for it', async () => {
    const scopes: unknown[] = []
    const wire = fakeWireOf(READY)
    const cloud = cloudOf('AzureChinaCloud')
    const credential = {
      getToken: (scope: string | string[]) => {
        scopes.push(scope)
        return Promise.resolve({ token: TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 })
      }
    }
    const arm = createResourceManager(credential, cloud, NAME.subscriptionId, { httpClient: wire })
    await createManagedClusters(arm, NAME).read()
    expect(wire.sent[0]?.url).toMatch(/^https:\/\/management\.chinacloudapi\.cn\/subscriptions\//)
    expect(scopes).toEqual([['https://management.chinacloudapi.cn/.default']])
  })

  test('takes the eTag from the header where the body has none', async () => {
    const { eTag: _, ...bare } = body('Succeeded')
    expect((await clusters(fakeWireOf({ status: 200, body: bare, headers: { etag: '"h"' } })).read()).eTag).toBe('"h"')
    expect((await clusters(fakeWireOf({ status: 200, body: bare })).read()).eTag).toBeUndefined()
  })

  test('waits out throttling, errors and resets, with Azure’s own Retry-After where it says one', async () => {
    const wire = fakeWireOf(
      { status: 429, headers: { 'Retry-After': '7' }, body: { error: { code: 'Throttled', message: 'x' } } },
      { status: 429, body: { error: { code: 'FailedIdentityOperation', message: 'throttled' } } },
      { status: 503, body: '<html>busy</html>' },
      reset,
      READY
    )
    const aks = clusters(wire)
    expect(await aks.read()).toEqual(CURRENT)
    expect(wire.sent).toHaveLength(5)
    expect(aks.waits[0]).toBe(7_000)
    expect(aks.waits.slice(1).every((wait, index) => wait >= 0 && wait <= 1_000 * 2 ** (index + 1))).toBe(true)
  })

  test('gives up after a while, saying why', async () => {
    const error = await rejection(clusters(fakeWireOf(reset)).read())
    expect(error).toMatchObject({ code: 'azure-unavailable', message: expect.stringContaining('ECONNRESET') })
  })

  test('a page that is not JSON is no cluster', async () => {
    expect(await rejection(clusters(fakeWireOf({ status: 200, body: '<html>' })).read())).toMatchObject({
      code: 'azure-unavailable'
    })
  })

  test.each([
    [404, { code: 'NotFound', message: 'Could not find managed cluster resource', subcode: 'x' }, 'cluster-not-found'],
    [
      404,
      { error: { code: 'ResourceGroupNotFound', message: "Resource group 'rg' could not be found." } },
      'resource-group-not-found'
    ],
    [
      404,
      { error: { code: 'SubscriptionNotFound', message: 'The subscription could not be found.' } },
      'subscription-not-found'
    ],
    [401, { error: { code: 'InvalidAuthenticationTokenTenant', message: 'wrong issuer' } }, 'tenant-mismatch']
  ])('%i %j: %s, asked once', async (status, refused, code) => {
    const wire = fakeWireOf({ status, body: refused })
    expect(await rejection(clusters(wire).read())).toMatchObject({ code })
    expect(wire.sent).toHaveLength(1)
  })

  test.each([
    ['of the run', new ActionError('cancelled', 'stop')],
    ['of the platform', undefined]
  ])('throws the signal’s reason, %s', async (_, reason) => {
    const abort = new AbortController()
    const wire = fakeWire(() => {
      abort.abort(reason)
      return reset
    })
    expect(await rejection(clusters(wire).read(abort.signal))).toBe(abort.signal.reason)
  })
})

describe('update', () => {
  test.each(RECORDED_CLUSTERS)(
    'sends the body of $recording, exchange $exchange, whole: nothing lost, nothing changed but the KMS profile',
    async (recorded) => {
      const wire = wireOf({ GET: [{ status: 200, body: recorded.body }, READY], PUT: [READY] })
      const aks = clusters(wire)
      const current = await aks.read()
      await aks.update(current, withKmsProfile(current.body, PROFILE))
      const put = wire.sent.find(({ method }) => method === 'PUT')
      const kms = { enabled: true, keyId: PROFILE.keyId, keyVaultNetworkAccess: 'Public' }
      const expected = JSON.stringify({
        ...recorded.body,
        properties: {
          ...(recorded.body['properties'] as JsonObject),
          securityProfile: {
            ...((recorded.body['properties'] as JsonObject)['securityProfile'] as JsonObject),
            azureKeyVaultKms: kms
          }
        }
      })
      expect(JSON.parse(put?.text ?? '')).toEqual(JSON.parse(expected))
      expect(put?.url).toBe(URL_OF_CLUSTER)
      expect(put?.headers['content-type']).toBe('application/json')
      expect(put?.headers['if-match']).toBe(recorded.body['eTag'] ?? '*')
    }
  )

  test('follows a recorded operation to its end, by the url as it came', async () => {
    const recorded = recordings('update.json') as readonly {
      readonly method: string
      readonly url: string
      readonly headers: Record<string, string>
      readonly body: JsonObject
    }[]
    const [, put, ...rest] = recorded
    const polls = rest.filter(({ url }) => url.includes('/operations/'))
    const url = put?.headers['azure-asyncoperation'] ?? ''
    expect(polls).toHaveLength(11)
    const bodyOf = (exchange: number): JsonObject =>
      RECORDED_CLUSTERS.find((one) => one.recording.includes('pmk') && one.exchange === exchange)?.body ?? {}
    const wire = wireOf({
      GET: [
        { status: 200, body: bodyOf(17) },
        { status: 200, body: bodyOf(31) }
      ],
      PUT: [{ status: 200, headers: { 'Azure-AsyncOperation': url }, body: bodyOf(19) }],
      poll: polls.map((one) => ({ status: 200, body: one.body }))
    })
    const aks = clusters(wire)
    const states: string[] = []
    const current = await aks.read()
    await aks.update(current, current.body, { onPoll: (state) => states.push(state) })
    expect(states).toEqual([
      'InProgress',
      ...Array<string>(7).fill('ProvisioningControlPlane'),
      'ReconcilingDNS',
      'ReconcilingAddons'
    ])
    expect(methods(wire)).toEqual(['GET', 'PUT', ...Array<string>(11).fill('poll'), 'GET'])
    expect(wire.sent.filter((sent) => sent.url.includes('/operations/')).every((sent) => sent.url === url)).toBe(true)
    expect(aks.waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, ...Array<number>(6).fill(30_000)])
  })

  test('waits for the cluster and its pools after the operation has ended', async () => {
    const pools = (state: string): JsonObject => ({ agentPoolProfiles: [{ name: 'p', provisioningState: state }] })
    const wire = wireOf({
      PUT: [ACCEPTED],
      poll: [poll('Succeeded')],
      GET: [
        { status: 200, body: body('Updating') },
        { status: 200, body: body('Succeeded', pools('Updating')) },
        { status: 200, body: body('Succeeded', pools('Succeeded')) }
      ]
    })
    await clusters(wire).update(CURRENT, CURRENT.body)
    expect(methods(wire)).toEqual(['PUT', 'poll', 'GET', 'GET', 'GET'])
  })

  test('polls on while Azure answers with errors, pages of proxies or not at all, however long', async () => {
    const wire = wireOf({
      PUT: [ACCEPTED],
      poll: [
        { status: 502, body: { error: { code: 'BadGatewayConnection', message: 'x' } } },
        ...Array<Error>(30).fill(reset),
        { status: 504, body: '<html>gateway</html>' },
        { status: 403, body: '<html>proxy</html>' },
        { status: 200, body: '<html>maintenance</html>' },
        poll('InProgress'),
        poll('Succeeded')
      ],
      GET: [READY]
    })
    await clusters(wire).update(CURRENT, CURRENT.body)
    expect(methods(wire).filter((method) => method === 'poll')).toHaveLength(36)
  })

  test('polls as late as Azure asks for', async () => {
    const wire = wireOf({
      PUT: [ACCEPTED],
      poll: [{ ...poll('InProgress'), headers: { 'Retry-After': '11' } }, poll('InProgress'), poll('Succeeded')],
      GET: [READY]
    })
    const aks = clusters(wire)
    await aks.update(CURRENT, CURRENT.body)
    expect(aks.waits).toEqual([1_000, 11_000, 4_000])
  })

  test.each([
    ['its record has vanished', { status: 404, body: { error: { code: 'NotFound', message: 'no such operation' } } }],
    ['it may not be read', { status: 403, body: { error: { code: 'AuthorizationFailed', message: 'x' } } }]
  ])('reads the cluster instead where the operation can’t be followed: %s', async (_, refused) => {
    const wire = wireOf({ PUT: [ACCEPTED], poll: [refused], GET: [{ status: 200, body: body('Updating') }, READY] })
    await clusters(wire).update(CURRENT, CURRENT.body)
    expect(methods(wire)).toEqual(['PUT', 'poll', 'GET', 'GET'])
  })

  test('a cluster that then turns out to have failed is a failed update, with the cluster’s own reason', async () => {
    const failed = body('Failed', { status: { provisioningError: { code: 'Kaput', message: 'it broke' } } })
    const wire = wireOf({
      PUT: [ACCEPTED],
      poll: [{ status: 404, body: {} }],
      GET: [{ status: 200, body: failed }]
    })
    const error = await rejection(clusters(wire).update(CURRENT, CURRENT.body))
    expect(error).toMatchObject({ code: 'cluster-update-failed', message: expect.stringMatching(/Kaput.*it broke/) })
  })

  test('does not send the token to another host', async () => {
    const wire = wireOf({
      PUT: [{ ...ACCEPTED, headers: { 'Azure-AsyncOperation': 'https://evil.example/operations/op1' } }],
      GET: [READY]
    })
    const aks = clusters(wire)
    await aks.update(CURRENT, CURRENT.body)
    expect(methods(wire)).toEqual(['PUT', 'GET'])
  })

  test.each(['Failed', 'Canceled'])('an operation that ends as %s', async (status) => {
    const error = { code: 'InternalOperationError', message: 'Internal server error' }
    const wire = wireOf({ PUT: [ACCEPTED], poll: [poll('InProgress'), poll(status, { error })] })
    const thrown = await rejection(clusters(wire).update(CURRENT, CURRENT.body))
    expect(thrown).toBeInstanceOf(ActionError)
    expect(thrown).toMatchObject({ code: 'cluster-update-failed' })
    expect(thrown.message).toContain(`ended as ${status}`)
    expect(thrown.message).toContain('InternalOperationError')
    expect(thrown.message).toContain('between Public and Private')
  })

  test('an operation that another one has preempted', async () => {
    const error = { code: 'ResourceOperationFailure', message: 'This operation has been preempted by 123' }
    const wire = wireOf({ PUT: [ACCEPTED], poll: [poll('Failed', { error })] })
    expect(await rejection(clusters(wire).update(CURRENT, CURRENT.body))).toBeInstanceOf(ClusterChangedError)
  })

  test.each([
    [412, { code: 'PreconditionFailed', message: 'eTag' }],
    [409, { code: 'EtagMismatch', message: 'Etag mismatched' }],
    [
      409,
      {
        code: 'EtagMismatch',
        details: [{ code: 'Unspecified', message: 'rpc error: code = FailedPrecondition desc = Etag mismatched' }],
        message: 'Operation is not allowed: Another operation is in progress',
        subcode: 'PutManagedClusterAndComponents_Failed'
      }
    ],
    [
      409,
      {
        code: 'OperationNotAllowed',
        message: 'Operation is not allowed: Another operation (nodepool1 - Updating) is in progress, please wait'
      }
    ]
  ])('%i %j: somebody else was there first', async (status, refused) => {
    const wire = wireOf({ PUT: [{ status, body: refused }] })
    expect(await rejection(clusters(wire).update(CURRENT, CURRENT.body))).toBeInstanceOf(ClusterChangedError)
    expect(wire.sent).toHaveLength(1)
  })

  test.each([
    [
      'BadRequest',
      'KeyVault network access is unspecified for Azure Key Vault KMS.',
      'cluster-update-rejected',
      /how it reaches the vault/
    ],
    [
      'BadRequest',
      'Vnet integration should be enabled when KeyVault network access is Private.',
      'cluster-update-rejected',
      /API Server VNet/
    ],
    ['BadRequest', 'something new', 'cluster-update-rejected', /BadRequest \(400\): something new/],
    ['OperationNotAllowed', 'It would exceed approved quota.', 'cluster-update-rejected', /quota/],
    [
      'AzureKeyVaultKmsValidateIdentityPermissionCustomerError',
      'The identity does not have keys encrypt/decrypt permission on key vault',
      'key-permission-missing',
      /RSA/
    ],
    [
      'BadRequest',
      "AzureKeyVaultKms feature does not support cluster identity type SystemAssigned, supported value is 'UserAssigned'",
      'identity-not-user-assigned',
      /SystemAssigned/
    ]
  ])('%s, “%s”: %s', async (code, message, expected, words) => {
    const wire = wireOf({ PUT: [{ status: 400, body: { code, details: null, message, subcode: '' } }] })
    const error = await rejection(clusters(wire).update(CURRENT, CURRENT.body))
    expect(error).toMatchObject({ code: expected, message: expect.stringMatching(words) })
    expect(wire.sent).toHaveLength(1)
  })

  describe('when the answer to the PUT gets lost', () => {
    test('and the update has arrived, says that the cluster changed, and does not repeat it', async () => {
      const wire = wireOf({ PUT: [reset], GET: [{ status: 200, body: body('Updating') }] })
      expect(await rejection(clusters(wire).update(CURRENT, CURRENT.body))).toBeInstanceOf(ClusterChangedError)
      expect(methods(wire)).toEqual(['PUT', 'GET'])
    })

    test('and the cluster is as before, repeats it under the same If-Match', async () => {
      const wire = wireOf({ PUT: [reset, { status: 503, body: '<html>' }, READY], GET: [READY] })
      await clusters(wire).update(CURRENT, CURRENT.body)
      expect(methods(wire)).toEqual(['PUT', 'GET', 'PUT', 'GET', 'PUT', 'GET'])
      const puts = wire.sent.filter(({ method }) => method === 'PUT')
      expect(new Set(puts.map(({ headers, text }) => `${headers['if-match'] ?? ''} ${text}`)).size).toBe(1)
    })

    test('and the first one overtakes the repeat, says that the cluster changed', async () => {
      const wire = wireOf({
        PUT: [reset, { status: 412, body: { code: 'PreconditionFailed', message: 'x' } }],
        GET: [READY]
      })
      expect(await rejection(clusters(wire).update(CURRENT, CURRENT.body))).toBeInstanceOf(ClusterChangedError)
    })

    test('again and again, gives up without claiming that nothing was changed', async () => {
      const wire = wireOf({
        PUT: [{ status: 500, body: { code: 'InternalOperationError', message: 'x' } }],
        GET: [READY]
      })
      const error = await rejection(clusters(wire).update(CURRENT, CURRENT.body))
      expect(error).toMatchObject({ code: 'azure-unavailable' })
      expect(methods(wire).filter((method) => method === 'PUT')).toHaveLength(5)
    })
  })

  test('a throttled PUT is repeated: it was not carried out', async () => {
    const wire = wireOf({
      PUT: [{ status: 429, headers: { 'Retry-After': '60' }, body: { code: 'Throttled', message: 'x' } }, READY],
      GET: [READY]
    })
    const aks = clusters(wire)
    await aks.update(CURRENT, CURRENT.body)
    expect(methods(wire)).toEqual(['PUT', 'PUT', 'GET'])
    expect(aks.waits).toEqual([60_000])
  })

  test('stops when the signal is aborted, with its reason', async () => {
    const abort = new AbortController()
    const reason = new ActionError('timed-out', 'too long')
    const wire = wireOf({ PUT: [ACCEPTED], poll: [poll('InProgress')] })
    const update = clusters(wire).update(CURRENT, CURRENT.body, {
      signal: abort.signal,
      onPoll: () => {
        abort.abort(reason)
      }
    })
    expect(await rejection(update)).toBe(reason)
  })

  test('no error shows the signed url or the token', async () => {
    const wire = wireOf({
      PUT: [ACCEPTED],
      poll: [poll('Failed', { error: { code: 'X', message: `see ${OPERATION} for more` } })]
    })
    const error = await rejection(clusters(wire).update(CURRENT, CURRENT.body))
    const shown = `${error.message} ${error.stack ?? ''} ${JSON.stringify(error)} ${String(error.cause)}`
    expect(shown).toContain('/operations/op1')
    expect(shown).not.toContain('sig%3D')
    expect(shown).not.toContain(TOKEN)
  })
})

describe('find', () => {
  test('gives the cluster, or nothing where there is none', async () => {
    expect(await clusters(fakeWireOf(READY)).find()).toEqual(CURRENT)
    expect(await clusters(fakeWireOf(NONE)).find()).toBeUndefined()
  })

  test.each([
    [404, 'ResourceGroupNotFound', 'resource-group-not-found'],
    [404, 'SubscriptionNotFound', 'subscription-not-found'],
    [403, 'AuthorizationFailed', 'authorization-failed']
  ])('%i %s is no answer to that', async (status, code, expected) => {
    const wire = fakeWireOf({ status, body: { error: { code, message: 'x' } } })
    expect(await rejection(clusters(wire).find())).toMatchObject({ code: expected })
  })
})

describe('create', () => {
  const CREATED: Answer = { status: 201, body: body('Creating'), headers: { 'Azure-AsyncOperation': OPERATION } }

  test('sends the body under the condition that there is no cluster, and follows the operation', async () => {
    const wire = wireOf({ PUT: [CREATED], poll: [poll('InProgress'), poll('Succeeded')], GET: [READY] })
    const words: string[] = []
    const definition = { location: 'eastus', properties: { dnsPrefix: 'x' } }
    await clusters(wire).create(definition, { onPoll: (word) => words.push(word) })
    expect(methods(wire)).toEqual(['PUT', 'poll', 'poll', 'GET'])
    expect(wire.sent[0]?.headers['if-none-match']).toBe('*')
    expect(wire.sent[0]?.headers).not.toHaveProperty('if-match')
    expect(JSON.parse(wire.sent[0]?.text ?? '')).toEqual(definition)
    expect(words).toEqual(['InProgress'])
  })

  test('a cluster that is there by now is a change by somebody', async () => {
    const wire = wireOf({ PUT: [{ status: 412, body: { code: 'PreconditionFailed', message: 'x' } }] })
    expect(await rejection(clusters(wire).create({}))).toBeInstanceOf(ClusterChangedError)
  })

  test('a refusal before it began, and a failure after it, are told apart', async () => {
    const refused = wireOf({ PUT: [{ status: 400, body: { code: 'BadRequest', message: 'no' } }] })
    expect(await rejection(clusters(refused).create({}))).toMatchObject({
      code: 'cluster-update-rejected',
      message: expect.stringContaining('Could not create the cluster aks1')
    })
    const failed = wireOf({ PUT: [CREATED], poll: [poll('Failed', { error: { code: 'Quota', message: 'no' } })] })
    expect(await rejection(clusters(failed).create({}))).toMatchObject({
      code: 'cluster-creation-failed',
      message: expect.stringContaining('Quota')
    })
  })

  test('a lost answer is followed by another attempt only where nothing has arrived', async () => {
    const arrived = wireOf({ PUT: [reset], GET: [{ status: 200, body: body('Creating') }] })
    expect(await rejection(clusters(arrived).create({}))).toBeInstanceOf(ClusterChangedError)
    expect(methods(arrived)).toEqual(['PUT', 'GET'])

    const lost = wireOf({ PUT: [reset, READY], GET: [NONE, READY] })
    await clusters(lost).create({})
    expect(methods(lost)).toEqual(['PUT', 'GET', 'PUT', 'GET'])
    expect(lost.sent[2]?.headers['if-none-match']).toBe('*')
  })
})

describe('waitUntilSettled', () => {
  test('waits for the cluster and its pools, also while Azure does not answer', async () => {
    const updating = { status: 200, body: body('Updating') }
    const wire = fakeWireOf(updating, ...Array<Error>(20).fill(reset), updating, READY)
    const states: string[] = []
    const settled = await clusters(wire).waitUntilSettled(600_000, { onPoll: (state) => states.push(state) })
    expect(settled).toEqual(CURRENT)
    expect(states).toEqual(['Updating', 'Updating'])
  })

  test('gives up in time, saying what is still under way', async () => {
    const stuck = body('Updating', { agentPoolProfiles: [{ name: 'np1', provisioningState: 'Upgrading' }] })
    const error = await rejection(clusters(fakeWireOf({ status: 200, body: stuck })).waitUntilSettled(0))
    expect(error).toMatchObject({
      code: 'cluster-stuck-updating',
      message: expect.stringMatching(/cluster Updating, np1 Upgrading/)
    })
  })

  test('returns a failed or stopped cluster: that is settled too', async () => {
    expect(await clusters(fakeWireOf({ status: 200, body: body('Failed') })).waitUntilSettled(0)).toMatchObject({
      body: body('Failed')
    })
  })
})

test('upgrades leaves out previews, and pools of which nothing is told', async () => {
  const wire = fakeWireOf({
    status: 200,
    body: {
      properties: {
        controlPlaneProfile: {
          kubernetesVersion: '1.26.6',
          upgrades: [{ kubernetesVersion: '1.27.3' }, { kubernetesVersion: '1.28.0', isPreview: true }]
        },
        agentPoolProfiles: [
          {
            name: 'np1',
            upgrades: [{ kubernetesVersion: '1.26.6' }, { kubernetesVersion: '1.27.0', isPreview: true }]
          },
          { name: 'np2', upgrades: null }
        ]
      }
    }
  })
  expect(await clusters(wire).upgrades()).toEqual({
    controlPlane: ['1.27.3'],
    pools: new Map([['np1', ['1.26.6']]])
  })
  expect(wire.sent[0]?.url).toBe(URL_OF_CLUSTER.replace('?', '/upgradeProfiles/default?'))
})

test('upgrades of a cluster at the newest version', async () => {
  const wire = fakeWireOf({ status: 200, body: { properties: { controlPlaneProfile: {}, agentPoolProfiles: null } } })
  expect(await clusters(wire).upgrades()).toEqual({ controlPlane: [], pools: new Map() })
})

describe('KMS data encryption', () => {
  const shown = (infrastructureEncryption: string): Answer => ({
    status: 200,
    body: body('Succeeded', {
      securityProfile: { kubernetesResourceObjectEncryptionProfile: { infrastructureEncryption } }
    })
  })

  test('is asked for in a preview of the API', async () => {
    const wire = fakeWireOf(shown('Enabled'))
    expect(await clusters(wire).usesDataEncryption()).toBe(true)
    expect(wire.sent.map(({ url }) => url)).toEqual([URL_OF_CLUSTER.replace(API_VERSION, '2025-09-02-preview')])
  })

  test.each<[string, Answer | Error]>([
    ['Disabled', shown('Disabled')],
    ['without a word of it', READY],
    ['that preview is not known here', { status: 400, body: { error: { code: 'NoRegisteredProviderFound' } } }],
    ['refused', { status: 403, body: { error: { code: 'AuthorizationFailed', message: 'x' } } }],
    ['no JSON', { status: 200, body: '<html>' }],
    ['no answer', reset]
  ])('%s: none', async (_, answer) => {
    expect(await clusters(fakeWireOf(answer)).usesDataEncryption()).toBe(false)
  })

  test('a run that is cancelled meanwhile says so', async () => {
    const reason = new ActionError('cancelled', 'stop')
    const aborted = AbortSignal.abort(reason)
    expect(await rejection(clusters(fakeWireOf(READY)).usesDataEncryption(aborted))).toBe(reason)
  })
})

describe('kubeconfig', () => {
  const answer = {
    status: 200,
    body: { kubeconfigs: [{ name: 'clusterUser', value: Buffer.from('apiVersion: v1 # ä').toString('base64') }] }
  }

  test.each([
    ['user', '/listClusterUserCredential?format=exec&'],
    ['admin', '/listClusterAdminCredential?']
  ] as const)('of the %s', async (kind, path) => {
    const wire = fakeWireOf(answer)
    expect(await clusters(wire).kubeconfig(kind)).toBe('apiVersion: v1 # ä')
    expect(wire.sent[0]).toMatchObject({ method: 'POST', url: URL_OF_CLUSTER.replace('?', path), text: '' })
  })

  test('where local accounts are disabled', async () => {
    const message = "Getting static credential isn't allowed because this cluster is set to disable local accounts."
    const wire = fakeWireOf({ status: 400, body: { code: 'BadRequest', message } })
    expect(await rejection(clusters(wire).kubeconfig('admin'))).toMatchObject({ code: 'local-accounts-disabled' })
  })

  test('where there is none', async () => {
    expect(
      await rejection(clusters(fakeWireOf({ status: 200, body: { kubeconfigs: [] } })).kubeconfig('user'))
    ).toMatchObject({
      code: 'azure-request-failed'
    })
  })
})

test.each([
  ['without', undefined],
  ['with', new AbortController().signal]
])('an attempt that hangs is ended and repeated, %s a signal', async (_, signal) => {
  let attempts = 0
  const hanging = {
    sendRequest: (request: PipelineRequest): Promise<never> => {
      attempts++
      return new Promise((_resolve, reject) => {
        request.abortSignal?.addEventListener('abort', () => {
          reject(Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' }))
        })
      })
    }
  }
  const { pause } = fakePause()
  const arm = createResourceManager(fakeCredential, PUBLIC_CLOUD, NAME.subscriptionId, {
    httpClient: hanging,
    pause,
    attemptTimeout: 5
  })
  expect(await rejection(createManagedClusters(arm, NAME, pause).read(signal))).toMatchObject({
    code: 'azure-unavailable',
    message: expect.stringContaining('Timeout')
  })
  expect(attempts).toBe(9)
})
