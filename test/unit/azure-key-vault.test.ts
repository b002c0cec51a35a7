import { RestError } from '@azure/core-rest-pipeline'
import { describe, expect, test } from '@jest/globals'
import { createKeyVault, type KeyVault } from '../../src/azure/key-vault.ts'
import { ActionError } from '../../src/errors.ts'
import { parseKeyId, type KeyVersion } from '../../src/model/key-id.ts'
import {
  cloudOf,
  fakeCredential,
  fakePause,
  fakeWire,
  PUBLIC_CLOUD,
  recordings,
  rejection,
  TOKEN,
  type Answer,
  type FakeWire
} from './azure-fakes.ts'

interface Exchange {
  readonly exchange: number
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: unknown
}
const RECORDED = recordings('key-vault.json') as readonly Exchange[]
function recorded(exchange: number): Answer {
  const found = RECORDED.find((one) => one.exchange === exchange)
  if (found === undefined) throw new Error(`no exchange ${String(exchange)}`)
  return { status: found.status, body: found.body, headers: found.headers }
}
const CHALLENGE = recorded(1)
const VAULT = 'https://cli-test-kv-key-000002.vault.azure.net'
const NAME = 'key1-000004'
const VERSION = 'c80bd7e4188b4b5ba13d0768be7b8352'
const ID = keyVersion(`${VAULT}/keys/${NAME}/${VERSION}`)
const reset = new RestError('socket hang up', { code: 'ECONNRESET' })

function keyVersion(url: string): KeyVersion {
  const id = parseKeyId(url, 'vault.azure.net')
  if (typeof id === 'string') throw new Error(id)
  return id
}

/** A vault that challenges whoever brings no token. */
function vaultWire(answer: (method: string, path: string) => Answer | Error): FakeWire {
  return fakeWire(({ method, url, headers }) =>
    headers['authorization'] === undefined ? CHALLENGE : answer(method, new URL(url).pathname)
  )
}

function keyVault(wire: FakeWire): KeyVault {
  return createKeyVault(fakeCredential, PUBLIC_CLOUD, { httpClient: wire, pause: fakePause().pause })
}

function refused(status: number, code: string, message: string, inner?: string): Answer {
  return { status, body: { error: { code, message, ...(inner === undefined ? {} : { innererror: { code: inner } }) } } }
}
const NOT_FOUND = refused(404, 'KeyNotFound', `A key with (name/id) ${NAME} was not found in this key vault.`)
const BY_RBAC = refused(
  403,
  'Forbidden',
  "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid=a;oid=o;iss=i\r\nAction: 'Microsoft.KeyVault/vaults/keys/read'\r\nResource: '/x'\r\nAssignment: (not found)",
  'ForbiddenByRbac'
)

describe('readKey', () => {
  test('answers the challenge, and reads a recorded version', async () => {
    const wire = vaultWire(() => recorded(25))
    expect(await keyVault(wire).readKey(ID)).toEqual({
      kind: 'readable',
      key: {
        id: ID,
        enabled: true,
        created: 1_699_275_267_000,
        updated: 1_699_275_267_000,
        notBefore: undefined,
        expires: undefined,
        keyType: 'RSA',
        keyOperations: ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey']
      }
    })
    expect(wire.sent.map(({ url, headers }) => [decodeURIComponent(url), headers['authorization']])).toEqual([
      [`${VAULT}/keys/${NAME}/${VERSION}?api-version=7.4`, undefined],
      [`${VAULT}/keys/${NAME}/${VERSION}?api-version=7.4`, `Bearer ${TOKEN}`]
    ])
    expect(wire.sent[0]?.headers['user-agent']).toMatch(/^aks-kms-etcd-encryption /)
  })

  test('gives times in milliseconds', async () => {
    const body = {
      key: { kid: ID.url, kty: 'RSA-HSM', key_ops: [] },
      attributes: { enabled: false, created: 1_699_275_267, nbf: 1_699_275_000, exp: 1_701_867_450 }
    }
    expect(await keyVault(vaultWire(() => ({ status: 200, body }))).readKey(ID)).toMatchObject({
      kind: 'readable',
      key: { enabled: false, notBefore: 1_699_275_000_000, expires: 1_701_867_450_000, keyType: 'RSA-HSM' }
    })
  })

  test.each([
    ['is still deleted', { status: 200, body: { key: { kid: ID.url }, attributes: {} } }, 'deleted'],
    ['is nowhere', NOT_FOUND, 'not-found'],
    ['may not be asked for among the deleted', BY_RBAC, 'not-found']
  ] as const)('a key that %s', async (_, deleted, reason) => {
    const wire = vaultWire((_method, path) => (path.startsWith('/deletedkeys/') ? deleted : NOT_FOUND))
    expect(await keyVault(wire).readKey(ID)).toMatchObject({ kind: 'unreadable', id: ID, reason })
  })

  test.each([
    [
      'by RBAC',
      BY_RBAC,
      'forbidden',
      /lacks Microsoft\.KeyVault\/vaults\/keys\/read on the vault cli-test-kv-key-000002.*may not have spread/
    ],
    [
      'by an access policy',
      refused(
        403,
        'Forbidden',
        "The user, group or application 'appid=a' does not have keys get permission on key vault 'kv'.",
        'AccessDenied'
      ),
      'forbidden',
      /“get” in the access policy/
    ],
    [
      'by the firewall',
      refused(
        403,
        'Forbidden',
        'Client address is not authorized and caller is not a trusted service.\r\nClient address: 20.1.2.3\r\nCaller: x',
        'ForbiddenByFirewall'
      ),
      'unreachable',
      /does not admit this runner, 20\.1\.2\.3.*self-hosted/
    ],
    [
      'by its private link',
      refused(
        403,
        'Forbidden',
        'Public network access is disabled and request is not from a trusted service nor via an approved private link.',
        'ForbiddenByConnection'
      ),
      'unreachable',
      /no connections from public networks.*private endpoint/
    ],
    ['because of another tenant', refused(401, 'Unauthorized', 'AKV10032: Invalid issuer.'), 'forbidden', /AKV10032/]
  ] as const)('refused %s', async (_, answer, reason, words) => {
    const observation = await keyVault(vaultWire(() => answer)).readKey(ID)
    expect(observation).toMatchObject({ kind: 'unreadable', reason, message: expect.stringMatching(words) })
  })

  test.each([
    ['a name that is not known', new RestError('getaddrinfo ENOTFOUND x', { code: 'ENOTFOUND' }), /no such vault/],
    ['resets', reset, /ECONNRESET/],
    ['errors', refused(503, 'ServiceUnavailable', 'busy'), /busy/],
    [
      'a proxy on the way',
      { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>Bad Gateway</html>' },
      /HTTP status 502/
    ]
  ] as const)('unreachable: %s', async (_, answer, words) => {
    const wire = fakeWire(() => answer)
    expect(await keyVault(wire).readKey(ID)).toMatchObject({
      kind: 'unreadable',
      reason: 'unreachable',
      message: expect.stringMatching(words)
    })
    expect(wire.sent).toHaveLength(5)
  })

  test('throws what the credential throws', async () => {
    const failure = new ActionError('federated-credential-mismatch', 'x')
    const vault = createKeyVault({ getToken: () => Promise.reject(failure) }, PUBLIC_CLOUD, {
      httpClient: vaultWire(() => NOT_FOUND)
    })
    expect(await rejection(vault.readKey(ID))).toBe(failure)
  })

  test('gives no token to a vault that asks for one of another domain', async () => {
    const wire = fakeWire(() => ({
      status: 401,
      headers: {
        'www-authenticate':
          'Bearer authorization="https://login.microsoftonline.com/t", resource="https://evil.example"'
      },
      body: {}
    }))
    await expect(keyVault(wire).readKey(ID)).rejects.toThrow(/does not match the requested domain/)
    expect(wire.sent.every(({ headers }) => headers['authorization'] === undefined)).toBe(true)
  })
})

describe('listVersions', () => {
  test('reads the recorded pages', async () => {
    let page = 0
    const wire = vaultWire(() => recorded([20, 21][page++] ?? 18))
    const listed = await keyVault(wire).listVersions(VAULT, NAME)
    const whole = await keyVault(vaultWire(() => recorded(18))).listVersions(VAULT, NAME)
    expect(listed).toEqual(whole)
    expect(listed).toMatchObject({
      kind: 'readable',
      versions: [
        { id: ID, enabled: true, created: 1_699_275_267_000 },
        { id: { version: 'e81556b390b1482c9dae3889f51fa0c2' }, enabled: false, created: 1_699_275_290_000 }
      ]
    })
    expect(wire.sent.at(-1)?.url).toContain('$skiptoken=')
  })

  test('says why there are none', async () => {
    expect(await keyVault(vaultWire(() => BY_RBAC)).listVersions(VAULT, NAME)).toMatchObject({
      kind: 'unreadable',
      reason: 'forbidden',
      message: expect.stringContaining('lacks Microsoft.KeyVault/vaults/keys/read')
    })
    const closed = refused(403, 'Forbidden', 'Public network access is disabled.', 'ForbiddenByConnection')
    expect(await keyVault(vaultWire(() => closed)).listVersions(VAULT, NAME)).toMatchObject({
      kind: 'unreadable',
      reason: 'unreachable'
    })
  })

  test('in another cloud', async () => {
    const cloud = cloudOf('AzureChinaCloud')
    const wire = fakeWire(({ headers }) =>
      headers['authorization'] === undefined
        ? {
            status: 401,
            headers: {
              'www-authenticate':
                'Bearer authorization="https://login.chinacloudapi.cn/t", resource="https://vault.azure.cn"'
            },
            body: {}
          }
        : {
            status: 200,
            body: {
              value: [{ kid: 'https://v1x.vault.azure.cn/keys/k/1', attributes: { created: 1 } }],
              nextLink: null
            }
          }
    )
    const vault = createKeyVault(fakeCredential, cloud, { httpClient: wire })
    expect(await vault.listVersions('https://v1x.vault.azure.cn', 'k')).toMatchObject({
      kind: 'readable',
      versions: [{ id: { url: 'https://v1x.vault.azure.cn/keys/k/1' }, created: 1_000 }]
    })
  })
})

describe('createVersion', () => {
  const NEW = `${VAULT}/keys/${NAME}/ffffffffffffffffffffffffffffffff`
  const rotated = { status: 200, body: { key: { kid: NEW, kty: 'RSA' }, attributes: { enabled: true, created: 2 } } }
  const listing = (...urls: string[]): Answer => ({
    status: 200,
    body: { value: urls.map((kid) => ({ kid, attributes: { enabled: true, created: 1 } })), nextLink: null }
  })

  test('rotates the key', async () => {
    const wire = vaultWire((method) => (method === 'POST' ? rotated : listing(ID.url)))
    expect(await keyVault(wire).createVersion(VAULT, NAME)).toEqual(keyVersion(NEW))
    expect(wire.sent.filter(({ method }) => method === 'POST').map(({ url }) => decodeURIComponent(url))).toEqual([
      `${VAULT}/keys/${NAME}/rotate?api-version=7.4`
    ])
  })

  test('finds the version whose answer got lost, and makes no second one', async () => {
    let made = false
    const wire = vaultWire((method) => {
      if (method === 'POST') {
        made = true
        return reset
      }
      return made ? listing(ID.url, NEW) : listing(ID.url)
    })
    expect(await keyVault(wire).createVersion(VAULT, NAME)).toEqual(keyVersion(NEW))
    expect(wire.sent.filter(({ method }) => method === 'POST')).toHaveLength(1)
  })

  test('fails where nothing was made', async () => {
    const wire = vaultWire((method) => (method === 'POST' ? reset : listing(ID.url)))
    expect(await rejection(keyVault(wire).createVersion(VAULT, NAME))).toMatchObject({ code: 'key-vault-unreachable' })
  })

  test('a throttled rotation is repeated: it was not carried out', async () => {
    let posts = 0
    const wire = vaultWire((method) =>
      method === 'POST' ? (posts++ === 0 ? refused(429, 'Throttled', 'x') : rotated) : listing(ID.url)
    )
    expect(await keyVault(wire).createVersion(VAULT, NAME)).toEqual(keyVersion(NEW))
  })

  test.each([
    [
      refused(403, 'Forbidden', "x\r\nAction: 'Microsoft.KeyVault/vaults/keys/rotate/action'\r\n", 'ForbiddenByRbac'),
      'key-forbidden',
      /keys\/rotate\/action/
    ],
    [NOT_FOUND, 'key-not-found', /was not found/],
    [refused(400, 'BadParameter', 'no rotation'), 'azure-request-failed', /no rotation \(400 BadParameter\)/]
  ] as const)('refused: %j', async (answer, code, words) => {
    const wire = vaultWire((method, path) =>
      method === 'POST' ? answer : path.startsWith('/deletedkeys/') ? NOT_FOUND : listing(ID.url)
    )
    expect(await rejection(keyVault(wire).createVersion(VAULT, NAME))).toMatchObject({
      code,
      message: expect.stringMatching(words)
    })
  })
})

describe('repairVersion', () => {
  const REPAIRED = Date.UTC(2026, 9, 2)
  const bundle = (tags: object): Answer => ({
    status: 200,
    body: { key: { kid: ID.url, kty: 'RSA' }, attributes: { enabled: false, created: 1 }, tags }
  })
  const tagsSent = (wire: FakeWire): unknown => bodySent(wire)['tags']
  const bodySent = (wire: FakeWire): Record<string, unknown> => {
    const [patch] = wire.sent.filter(
      ({ method, headers }) => method === 'PATCH' && headers['authorization'] !== undefined
    )
    return JSON.parse(patch?.text ?? '{}') as Record<string, unknown>
  }

  test('changes what is given and nothing else, and marks the version beside the tags that it has', async () => {
    const wire = vaultWire(() => bundle({ team: 'platform' }))
    await keyVault(wire).repairVersion(ID, { repaired: REPAIRED, enabled: true, expires: REPAIRED + 5_000 })
    expect(bodySent(wire)).toEqual({
      attributes: { enabled: true, exp: REPAIRED / 1000 + 5 },
      tags: { team: 'platform', 'kms-etcd-encryption-repaired': '2026-10-02T00:00:00.000Z' }
    })
    const other = vaultWire(() => bundle({}))
    await keyVault(other).repairVersion(ID, { repaired: REPAIRED, notBefore: 1_000 })
    expect(bodySent(other)).toMatchObject({ attributes: { nbf: 1 } })
  })

  test('the mark is read with the version', async () => {
    const read = (tag: string) => keyVault(vaultWire(() => bundle({ 'kms-etcd-encryption-repaired': tag }))).readKey(ID)
    expect(await read('2026-10-02T00:00:00.000Z')).toMatchObject({ key: { repaired: REPAIRED } })
    expect(await read('some day')).not.toHaveProperty('key.repaired')
  })

  test('goes without the mark where there is no room for another tag', async () => {
    const full = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`tag${String(i)}`, 'x']))
    const wire = vaultWire(() => bundle(full))
    await keyVault(wire).repairVersion(ID, { repaired: REPAIRED, enabled: true })
    expect(tagsSent(wire)).toBeUndefined()
    const again = vaultWire(() => bundle({ ...full, tag0: undefined, 'kms-etcd-encryption-repaired': 'before' }))
    await keyVault(again).repairVersion(ID, { repaired: REPAIRED, enabled: true })
    expect(Object.keys(tagsSent(again) as object)).toHaveLength(15)
  })

  test('is repeated while the vault fails, and says what is missing where it may not', async () => {
    let patches = 0
    const wire = vaultWire((method) => (method === 'PATCH' && patches++ === 0 ? reset : bundle({})))
    await keyVault(wire).repairVersion(ID, { repaired: REPAIRED, enabled: true })
    expect(patches).toBe(2)
    const forbidden = refused(
      403,
      'Forbidden',
      "x\r\nAction: 'Microsoft.KeyVault/vaults/keys/update/action'\r\n",
      'ForbiddenByRbac'
    )
    const vault = keyVault(vaultWire((method) => (method === 'PATCH' ? forbidden : bundle({}))))
    expect(await rejection(vault.repairVersion(ID, { repaired: REPAIRED, enabled: true }))).toMatchObject({
      code: 'key-forbidden',
      message: expect.stringMatching(/repair the key version .*keys\/update\/action/)
    })
  })
})

describe('recoverKey', () => {
  const readable = { status: 200, body: { key: { kid: ID.url, kty: 'RSA' }, attributes: {} } }
  const underWay = refused(409, 'Conflict', 'Key is currently being recovered.', 'ObjectIsBeingRecovered')

  /** A key that can be read after so many questions for it. */
  function recovering(
    questions: number,
    recover: Answer
  ): { readonly vault: KeyVault; readonly waits: readonly number[] } {
    let asked = 0
    const { pause, waits } = fakePause()
    const wire = vaultWire((method) => (method === 'POST' ? recover : asked++ < questions ? NOT_FOUND : readable))
    return { vault: createKeyVault(fakeCredential, PUBLIC_CLOUD, { httpClient: wire, pause }), waits }
  }

  test('asks for it, and waits until the key can be read', async () => {
    for (const answer of [readable, underWay]) {
      const { vault, waits } = recovering(5, answer)
      await vault.recoverKey(VAULT, NAME)
      expect(waits.length).toBeGreaterThan(0)
    }
  })

  test('has a bound', async () => {
    const { vault, waits } = recovering(Infinity, readable)
    expect(await rejection(vault.recoverKey(VAULT, NAME))).toMatchObject({
      code: 'azure-unavailable',
      message: expect.stringMatching(/recover the key key1-000004 in the vault .* still under way after 5 minutes/)
    })
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeLessThanOrEqual(5 * 60_000)
  })

  test('says what is missing where it may not', async () => {
    const forbidden = refused(
      403,
      'Forbidden',
      "x\r\nAction: 'Microsoft.KeyVault/vaults/keys/recover/action'\r\n",
      'ForbiddenByRbac'
    )
    expect(await rejection(recovering(Infinity, forbidden).vault.recoverKey(VAULT, NAME))).toMatchObject({
      code: 'key-forbidden',
      message: expect.stringContaining('keys/recover/action')
    })
  })
})

describe('readRotationPolicy', () => {
  test('tells how long versions last', async () => {
    const policy = { id: 'x', lifetimeActions: [], attributes: { expiryTime: 'P90D' } }
    const wire = vaultWire(() => ({ status: 200, body: policy }))
    expect(await keyVault(wire).readRotationPolicy(VAULT, NAME)).toEqual({ expiresAfter: 'P90D' })
    expect(wire.sent.at(-1)?.url).toContain(`/keys/${NAME}/rotationpolicy?`)
    const none = vaultWire(() => ({ status: 200, body: { ...policy, attributes: {} } }))
    expect(await keyVault(none).readRotationPolicy(VAULT, NAME)).toEqual({ expiresAfter: undefined })
  })

  test('says nothing where it may not be read', async () => {
    expect(await keyVault(vaultWire(() => BY_RBAC)).readRotationPolicy(VAULT, NAME)).toBeUndefined()
  })
})
