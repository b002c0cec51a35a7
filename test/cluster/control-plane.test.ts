import { constants, createHash, generateKeyPairSync, privateDecrypt, publicEncrypt } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { buffer, text } from 'node:stream/consumers'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { startRealBed, type Bed } from '../../testbed/bed.ts'
import type {
  ControlPlane,
  ControlPlaneOptions,
  EncryptionProvider,
  KeyOperations,
  SeedSecret,
  StoredSecret
} from '../../testbed/contract.ts'
import { startRealControlPlane, type RealControlPlane } from '../../testbed/control-plane/real.ts'
import { decodeKmsV2Value, encodeKmsV2Value } from '../../testbed/etcd/stored-value.ts'
import { startWireTap, type WireTap } from '../../testbed/wire/tap.ts'

const IDENTITY: EncryptionProvider = { kind: 'identity' }
const [KEY_1, KEY_2, KEY_3] = ['1', '2', '3'].map((version) => `https://bed.vault.azure.net/keys/etcd/${version}`) as [
  string,
  string,
  string
]

const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
const rsaKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 })

/** Key Vault's two operations; keys are made when they are first used. */
class Vault implements KeyOperations {
  readonly refused = new Set<string>()
  readonly #keys = new Map<string, ReturnType<typeof rsaKey>>()

  async encrypt(keyId: string, plaintext: Uint8Array): Promise<Uint8Array> {
    return publicEncrypt({ key: this.#key(keyId).publicKey, ...OAEP }, plaintext)
  }

  async decrypt(keyId: string, ciphertext: Uint8Array): Promise<Uint8Array> {
    return privateDecrypt({ key: this.#key(keyId).privateKey, ...OAEP }, ciphertext)
  }

  #key(keyId: string): ReturnType<typeof rsaKey> {
    if (this.refused.has(keyId)) throw new Error(`KeyDisabled: ${keyId}`)
    const key = this.#keys.get(keyId) ?? rsaKey()
    this.#keys.set(keyId, key)
    return key
  }
}

const SECRETS: readonly SeedSecret[] = Array.from({ length: 50 }, (_, index) => ({
  namespace: `team-${index % 4}`,
  name: `secret-${index}`,
  type: 'example.com/token',
  immutable: index % 10 === 0,
  labels: { number: `${index}` },
  annotations: { note: `the number is ${index}` },
  data: { token: Buffer.from(`in clear ${index}`).toString('base64') }
}))

describe('two API servers, KMS v2', () => {
  const vault = new Vault()
  const controlPlane = startedForTheseTests({ keyOperations: vault, apiServers: 2, encryption: [IDENTITY] })

  beforeAll(() => controlPlane().seed(SECRETS))

  test('seeded Secrets are in etcd in clear and as they were given', async () => {
    const stored = await controlPlane().storedSecrets()
    expect(summary(stored)).toEqual({ 'identity undefined': 50 })
    for (const secret of SECRETS) {
      const found = stored.find(({ namespace, name }) => namespace === secret.namespace && name === secret.name)
      const token = Buffer.from(secret.data['token'] ?? '', 'base64').toString()
      expect(Buffer.from(found?.bytes ?? []).includes(token)).toBe(true)
      const { body } = await controlPlane().request('GET', pathOf(secret))
      const { namespace, name, labels, annotations, ...content } = secret
      expect(body).toMatchObject({ metadata: { namespace, name, labels, annotations }, ...content })
    }
  })

  test('both API servers get connections, and each has an identity of its own', async () => {
    expect((await identitiesOfServers(controlPlane())).size).toBe(2)
  })

  test('a bearer token is who the webhook says it is, and operators are cluster-admin', async () => {
    const path = '/api/v1/namespaces/team-0/secrets'
    expect((await withToken(controlPlane(), 'operator', path)).status).toBe(200)
    expect((await withToken(controlPlane(), 'nobody', path)).status).toBe(403)
    expect((await withToken(controlPlane(), 'unknown', path)).status).toBe(401)
  })

  test('a wire tap before them sees what a client receives', async () => {
    const tap = await startWireTap(controlPlane())
    try {
      const [secret] = SECRETS
      const needles = [secret?.data['token'] ?? '']
      const list = '/api/v1/secrets'
      const bare = await overHttp2(tap, `${list}?includeObject=None`, {
        accept: 'application/json;as=Table;g=meta.k8s.io;v=v1'
      })
      expect(bare).toMatchObject({ ':status': 200 })
      expect(tap.bytes).toBeGreaterThan(1_000)
      expect(tap.search(needles)).toEqual([])

      await overHttp2(tap, pathOf(secret))
      await overHttp2(tap, list)
      expect(tap.search(needles).map(({ path }) => path)).toEqual([pathOf(secret), list])

      const gzip = { 'accept-encoding': 'gzip' }
      expect(await overHttp2(tap, '/metrics', gzip)).toMatchObject({ 'content-encoding': 'gzip' })
      expect(tap.search(['apiserver_id_hash="sha256:']).map(({ path }) => path)).toEqual(['/metrics'])
    } finally {
      await tap.stop()
    }
  })

  test('enabling moves nothing by itself, and every Secret with an empty patch', async () => {
    const before = await controlPlane().storedSecrets()
    await controlPlane().roll([slot(0, KEY_1), IDENTITY])
    expect(await controlPlane().storedSecrets()).toEqual(before)

    expect(await patchAll(controlPlane())).toBe(50)
    const after = await controlPlane().storedSecrets()
    expect(summary(after)).toEqual({ [`k8s:enc:kms:v2:azurekms0 ${hashOf(KEY_1)}`]: 50 })
    expect(after.some(({ bytes }) => Buffer.from(bytes).includes('in clear'))).toBe(false)
    expect(await patchAll(controlPlane())).toBe(0)
    await expectUnchangedContent(controlPlane())
  })

  test('what an API server wrote survives decoding and encoding', async () => {
    const [secret] = await controlPlane().storedSecrets()
    const value = decodeKmsV2Value(secret?.bytes ?? new Uint8Array())
    expect(value.providerName).toBe('azurekms0')
    expect(utf8(value.annotations['algorithm.azure.akv.io'])).toBe('RSA-OAEP-256')
    const again = encodeKmsV2Value(value)
    expect(again.length).toBe(secret?.bytes.length)
    expect(decodeKmsV2Value(again)).toEqual(value)
  })

  test('the next key takes the other slot, and the first one can go afterwards', async () => {
    await controlPlane().roll([slot(1, KEY_2), slot(0, KEY_1), IDENTITY])
    expect(await patchAll(controlPlane())).toBe(50)
    expect(summary(await controlPlane().storedSecrets())).toEqual({ [`k8s:enc:kms:v2:azurekms1 ${hashOf(KEY_2)}`]: 50 })
    await controlPlane().roll([slot(1, KEY_2), IDENTITY])
    await expectUnchangedContent(controlPlane())
  })

  test('a third key in the slot of the first one, as long as no Secret hangs on that', async () => {
    await controlPlane().roll([slot(0, KEY_3), slot(1, KEY_2), IDENTITY])
    expect(await patchAll(controlPlane())).toBe(50)
    expect(summary(await controlPlane().storedSecrets())).toEqual({ [`k8s:enc:kms:v2:azurekms0 ${hashOf(KEY_3)}`]: 50 })
  })

  test('no API server becomes ready while a Secret hangs on a key without a slot, so the roll ends at the first one', async () => {
    const withoutKey3 = controlPlane().roll([slot(0, KEY_1), slot(1, KEY_2), IDENTITY])
    await expect(withoutKey3).rejects.toThrow(/kube-apiserver was not ready[^]*failed to decrypt DEK/)
    await expectUnchangedContent(controlPlane())
  })

  test('a key that the vault refuses does not get as far as the API servers', async () => {
    vault.refused.add(KEY_1)
    await expect(controlPlane().roll([slot(1, KEY_1), slot(0, KEY_3), IDENTITY])).rejects.toThrow('KeyDisabled')
    vault.refused.delete(KEY_1)
    expect(await patchAll(controlPlane())).toBe(0)
    await expectUnchangedContent(controlPlane())
  })

  test('a configuration that no API server starts under leaves both under the one before', async () => {
    const twice = [slot(1, KEY_1), slot(1, KEY_2), IDENTITY]
    await expect(controlPlane().roll(twice)).rejects.toThrow(/kube-apiserver ended with code 1[^]*duplicate/)
    expect((await identitiesOfServers(controlPlane())).size).toBe(2)
    expect(await patchAll(controlPlane())).toBe(0)
  })

  test('during a roll there is an API server for new connections, and old connections end', async () => {
    const kept = keptConnection(controlPlane())
    const roll = controlPlane().roll([slot(0, KEY_3), slot(1, KEY_2), IDENTITY])
    const answers = await statusesUntil(roll, controlPlane())
    const served = answers.filter((answer) => answer === 200).length
    expect(served).toBeGreaterThan(5)
    // What an API server has not begun to serve when it is told to end is lost.
    expect(answers.length - served).toBeLessThanOrEqual(2)
    await kept
  })

  test('disabling', async () => {
    await controlPlane().roll([IDENTITY, slot(0, KEY_3)])
    expect(await patchAll(controlPlane())).toBe(50)
    expect(summary(await controlPlane().storedSecrets())).toEqual({ 'identity undefined': 50 })
    await controlPlane().roll([IDENTITY])
    await expectUnchangedContent(controlPlane())
  })
})

describe('three API servers, one of which lags', () => {
  const first = [slot(0, KEY_1), slot(1, KEY_2), IDENTITY]
  const second = [slot(1, KEY_2), slot(0, KEY_1), IDENTITY]
  const controlPlane = startedForTheseTests({
    keyOperations: new Vault(),
    apiServers: 3,
    kmsV1: true,
    encryption: first
  })

  beforeAll(() => controlPlane().seed(SECRETS))

  test('what is written through the lagging one goes back under the old key, until it caught up', async () => {
    const identities = await identitiesOfServers(controlPlane())
    expect(identities.size).toBe(3)
    const lagging = controlPlane().holdBack(1)
    await controlPlane().roll(second)
    const rolled = await identitiesOfServers(controlPlane())
    expect(rolled.size).toBe(3)
    expect([...rolled].filter((identity) => identities.has(identity))).toHaveLength(1)

    // Each request goes to the next server in turn: two write under the new key, and one under the old one.
    expect(await writersOf(6)).toEqual({ [hashOf(KEY_2)]: 4, [hashOf(KEY_1)]: 2 })
    await expectUnchangedContent(controlPlane())

    await lagging.catchUp()
    expect([...(await identitiesOfServers(controlPlane()))].some((identity) => identities.has(identity))).toBe(false)
    expect(await writersOf(6)).toEqual({ [hashOf(KEY_2)]: 6 })
    expect(await patchAll(controlPlane())).toBe(49)
    expect(summary(await controlPlane().storedSecrets())).toEqual({ [`k8s:enc:kms:v2:azurekms1 ${hashOf(KEY_2)}`]: 50 })
  })

  test('the plugin of a key stays as long as a lagging API server encrypts under it', async () => {
    const old = slot(0, KEY_3, 'v1')
    await controlPlane().roll([old, slot(1, KEY_2), IDENTITY])
    const lagging = controlPlane().holdBack(1)
    await controlPlane().roll([slot(1, KEY_2), IDENTITY])

    const providers = await Promise.all(['one', 'two', 'three'].map((name) => providerOfNew(name)))
    expect(providers.toSorted()).toEqual([
      'k8s:enc:kms:v1:azurekms0',
      'k8s:enc:kms:v2:azurekms1',
      'k8s:enc:kms:v2:azurekms1'
    ])
    // No API server would start while a Secret is under a key that it does not know.
    await controlPlane().roll([slot(1, KEY_2), old, IDENTITY])
    await lagging.catchUp()
    await expectUnchangedContent(controlPlane())
  })

  test('only as many as there are can lag, and only once at a time', async () => {
    expect(() => controlPlane().holdBack(4)).toThrow('There are 3 API servers, not 4.')
    const lagging = controlPlane().holdBack(2)
    expect(() => controlPlane().holdBack(1)).toThrow('held back already')
    await lagging.catchUp()
  })

  /** Under which keys one Secret lies after each of several empty patches, each on a connection of its own. */
  async function writersOf(patches: number): Promise<Record<string, number>> {
    const writers: Record<string, number> = {}
    for (let patch = 0; patch < patches; patch++) {
      expect((await asAdmin(controlPlane(), pathOf(SECRETS[0]), 'PATCH', '{}')).status).toBe(200)
      const { keyIdHash = 'none' } = await stored(SECRETS[0]?.name)
      writers[keyIdHash] = (writers[keyIdHash] ?? 0) + 1
    }
    return writers
  }

  /** Who wrote a new Secret that was sent on a connection of its own. */
  async function providerOfNew(name: string): Promise<string> {
    const secret = JSON.stringify({ metadata: { name }, data: {} })
    expect((await asAdmin(controlPlane(), '/api/v1/namespaces/team-0/secrets', 'POST', secret)).status).toBe(201)
    return (await stored(name)).provider
  }

  async function stored(name: string | undefined): Promise<StoredSecret> {
    const found = (await controlPlane().storedSecrets()).find((secret) => secret.name === name)
    if (found === undefined) throw new Error(`${name} is not in etcd.`)
    return found
  }
})

describe('one API server, KMS v1', () => {
  const controlPlane = startedForTheseTests({ keyOperations: new Vault(), kmsV1: true, encryption: [IDENTITY] })
  const v1 = slot(0, KEY_1, 'v1')

  beforeAll(() => controlPlane().seed(SECRETS))

  test('during a roll nobody answers', async () => {
    const answers = await statusesUntil(controlPlane().roll([v1, IDENTITY]), controlPlane())
    expect(answers.filter((answer) => answer === 'no answer').length).toBeGreaterThan(5)
    expect((await controlPlane().request('GET', pathOf(SECRETS[0]))).status).toBe(200)
  })

  test('enabling', async () => {
    expect(await patchAll(controlPlane())).toBe(50)
    expect(summary(await controlPlane().storedSecrets())).toEqual({ 'k8s:enc:kms:v1:azurekms0 undefined': 50 })
    await expectUnchangedContent(controlPlane())
  })

  test('KMS v1 to v2 with the same key', async () => {
    await controlPlane().roll([slot(0, KEY_1), v1, IDENTITY])
    expect(await patchAll(controlPlane())).toBe(50)
    expect(summary(await controlPlane().storedSecrets())).toEqual({ [`k8s:enc:kms:v2:azurekms0 ${hashOf(KEY_1)}`]: 50 })
    await controlPlane().roll([slot(0, KEY_1)])
    await expectUnchangedContent(controlPlane())
  })
})

describe('KMS v1 whose provider keeps its name when the key changes', () => {
  let bed: Bed
  let first: string
  let second: string
  beforeAll(async () => {
    const cluster = { kubernetesVersion: '1.26.6', kmsProviderName: 'fixed' } as const
    bed = await startRealBed({ kms: true, timeScale: 0.001, secrets: SECRETS, cluster })
    first = bed.keyIds()[0] ?? ''
    second = await bed.addKeyVersion()
    await setKey(second)
  })
  afterAll(() => bed.stop())

  test('no empty patch moves anything', async () => {
    expect(await patchAll(bed.controlPlane)).toBe(0)
    expect(await keysOfStored()).toEqual({ first: 50, second: 0 })
  })

  test('what is written comes under the new key, and what lies under either can be read', async () => {
    const change = { metadata: { annotations: { written: 'again' } } }
    expect((await bed.controlPlane.request('PATCH', pathOf(SECRETS[1]), change)).status).toBe(200)
    expect(await keysOfStored()).toEqual({ first: 49, second: 1 })
    expect(summary(await bed.controlPlane.storedSecrets())).toEqual({ 'k8s:enc:kms:v1:azurekms0 undefined': 50 })
    await expectUnchangedContent(bed.controlPlane)
  })

  test('the way out is to switch KMS off in between', async () => {
    await setKey(undefined)
    expect(await patchAll(bed.controlPlane)).toBe(50)
    expect(summary(await bed.controlPlane.storedSecrets())).toEqual({ 'identity undefined': 50 })
    await setKey(second)
    expect(await patchAll(bed.controlPlane)).toBe(50)
    expect(await keysOfStored()).toEqual({ first: 0, second: 50 })
  })

  async function setKey(keyId: string | undefined): Promise<void> {
    const on = keyId !== undefined && { keyId, keyVaultNetworkAccess: 'Public' }
    await bed.cluster.changeKms({ enabled: keyId !== undefined, ...on })
    expect(bed.cluster.body).toMatchObject({ properties: { provisioningState: 'Succeeded' } })
  }

  /** A value of KMS v1 doesn't name its key: it is the one that decrypts what follows the provider's prefix. */
  async function keysOfStored(): Promise<{ readonly first: number; readonly second: number }> {
    const count = { first: 0, second: 0 }
    for (const { provider, bytes } of await bed.controlPlane.storedSecrets()) {
      const envelope = Buffer.from(bytes).subarray(provider.length + 1)
      const wrapped = envelope.subarray(2, 2 + envelope.readUInt16BE())
      if (await decrypts(first, wrapped)) count.first++
      if (await decrypts(second, wrapped)) count.second++
    }
    return count
  }

  async function decrypts(keyId: string, wrapped: Uint8Array): Promise<boolean> {
    return await bed.cluster.keyOperations.decrypt(keyId, wrapped).then(
      () => true,
      () => false
    )
  }
})

test('stopping leaves nothing behind', async () => {
  const controlPlane = await startRealControlPlane(withUsers({ keyOperations: new Vault(), encryption: [IDENTITY] }))
  const directories = directoriesOfThisProcess()
  await controlPlane.stop()
  expect(directories).toHaveLength(1)
  expect(directoriesOfThisProcess()).toEqual([])
  await expect(controlPlane.request('GET', '/readyz')).rejects.toThrow()
})

function startedForTheseTests(options: Omit<ControlPlaneOptions, 'authenticateToken'>): () => RealControlPlane {
  let starting: Promise<RealControlPlane> | undefined
  let controlPlane: RealControlPlane | undefined
  beforeAll(async () => {
    starting = startRealControlPlane(withUsers(options))
    controlPlane = await starting
  })
  afterAll(async () => (await starting)?.stop())
  return () => {
    if (controlPlane === undefined) throw new Error('The control plane did not start.')
    return controlPlane
  }
}

function withUsers(options: Omit<ControlPlaneOptions, 'authenticateToken'>): ControlPlaneOptions {
  const users = new Map([
    ['operator', { username: 'operator', groups: ['aks-kms-operators'] }],
    ['nobody', { username: 'nobody', groups: [] }]
  ])
  return { ...options, authenticateToken: (token) => users.get(token) }
}

function slot(number: 0 | 1, keyId: string, apiVersion: 'v1' | 'v2' = 'v2'): EncryptionProvider {
  return { kind: 'kms', apiVersion, name: `azurekms${number}`, keyId }
}

function hashOf(keyId: string): string {
  return createHash('sha256').update(keyId).digest('hex')
}

function pathOf(secret: SeedSecret | undefined): string {
  return `/api/v1/namespaces/${secret?.namespace}/secrets/${secret?.name}`
}

/** How many Secrets the empty patch moved. */
async function patchAll(controlPlane: ControlPlane): Promise<number> {
  const before = new Map((await controlPlane.storedSecrets()).map((secret) => [secret.name, secret.revision]))
  const answers = await Promise.all(SECRETS.map((secret) => controlPlane.request('PATCH', pathOf(secret), {})))
  for (const answer of answers) expect(answer).toMatchObject({ status: 200 })
  const after = await controlPlane.storedSecrets()
  return after.filter(({ name, revision }) => before.get(name) !== revision).length
}

async function expectUnchangedContent(controlPlane: ControlPlane): Promise<void> {
  const answers = await Promise.all(SECRETS.map((secret) => controlPlane.request('GET', pathOf(secret))))
  expect(answers.map(({ body }) => body)).toMatchObject(
    SECRETS.map(({ type, immutable, data }) => ({ type, immutable, data }))
  )
}

/** How many Secrets were written by which provider under which key. */
function summary(stored: readonly StoredSecret[]): Record<string, number> {
  const groups = Object.groupBy(stored, ({ provider, keyIdHash }) => `${provider} ${keyIdHash}`)
  return Object.fromEntries(Object.entries(groups).map(([writer, secrets]) => [writer, secrets?.length ?? 0]))
}

interface Answer {
  readonly status: number
  readonly text: string
}

/** One request on a connection of its own. */
function fresh(controlPlane: ControlPlane, path: string, options: object, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ca = controlPlane.certificateAuthority
    const outgoing = httpsRequest(new URL(path, controlPlane.server), { ca, agent: false, ...options }, (response) => {
      text(response).then((content) => resolve({ status: response.statusCode ?? 0, text: content }), reject)
    })
    outgoing.on('error', reject).end(body)
  })
}

function asAdmin(controlPlane: ControlPlane, path: string, method = 'GET', body?: string): Promise<Answer> {
  const { certificate, key } = controlPlane.adminCertificate
  const headers = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }
  return fresh(controlPlane, path, { method, headers, cert: certificate, key }, body)
}

function withToken(controlPlane: ControlPlane, token: string, path: string): Promise<Answer> {
  return fresh(controlPlane, path, { headers: { authorization: `Bearer ${token}` } })
}

/** The headers of the answer. */
async function overHttp2(tap: WireTap, path: string, headers: OutgoingHttpHeaders = {}): Promise<IncomingHttpHeaders> {
  const session = connectHttp2(tap.server, { ca: tap.certificateAuthority })
  try {
    const request = session.request({ ':path': path, authorization: 'Bearer operator', ...headers })
    const [answer] = (await once(request, 'response')) as [IncomingHttpHeaders]
    await buffer(request)
    return answer
  } finally {
    session.destroy()
  }
}

/** The API servers that new connections lead to, by their identities. */
async function identitiesOfServers(controlPlane: ControlPlane): Promise<ReadonlySet<string | undefined>> {
  return new Set(await Promise.all([1, 2, 3, 4].map(() => identityOfSomeServer(controlPlane))))
}

async function identityOfSomeServer(controlPlane: ControlPlane): Promise<string | undefined> {
  const metrics = await asAdmin(controlPlane, '/metrics')
  return /^apiserver_encryption_config\w+\{apiserver_id_hash="([^"]+)"/m.exec(metrics.text)?.[1]
}

async function statusesUntil(
  end: Promise<void>,
  controlPlane: ControlPlane
): Promise<readonly (number | 'no answer')[]> {
  const statuses: (number | 'no answer')[] = []
  const roll = { over: false }
  const ended = end.finally(() => {
    roll.over = true
  })
  ended.catch(() => undefined)
  while (!roll.over) {
    const answer = asAdmin(controlPlane, pathOf(SECRETS[0]))
    statuses.push(
      await answer.then(
        ({ status }) => status,
        () => 'no answer' as const
      )
    )
  }
  await ended
  return statuses
}

/** Resolves when the control plane ends a watch, which no client would end. */
async function keptConnection(controlPlane: ControlPlane): Promise<void> {
  await asAdmin(controlPlane, '/api/v1/namespaces?watch=true').catch(() => undefined)
}

function directoriesOfThisProcess(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`aks-kms-${process.pid}-`))
}

function utf8(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('utf8')
}
