import { RestError } from '@azure/core-rest-pipeline'
import { describe, expect, test } from '@jest/globals'
import type { TokenCredential } from '@azure/core-auth'
import { createCredential } from '../../src/azure/credentials.ts'
import type { Cloud } from '../../src/azure/clouds.ts'
import {
  cloudOf,
  fakePause,
  fakeWire,
  PUBLIC_CLOUD,
  rejection,
  type Answer,
  type FakeWire,
  type Sent
} from './azure-fakes.ts'

const TENANT = '11111111-2222-3333-4444-555555555555'
const CLIENT = '66666666-7777-8888-9999-000000000000'
const SCOPE = 'https://management.azure.com/.default'
const CORRELATION = 'abcdefab-cdef-abcd-efab-cdefabcdefab'
const NAMED = 'repo:octo-org/octo-repo:environment:prod'
const IMMUTABLE = 'repo:octo-org@1001/octo-repo@2002:environment:prod'
const SIGNATURE = 'c2lnbmF0dXJl'

function idToken(claims: Readonly<Record<string, unknown>>): string {
  const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  return `${encode({ alg: 'RS256' })}.${encode({
    iss: 'https://token.actions.githubusercontent.com',
    aud: PUBLIC_CLOUD.audience,
    sub: NAMED,
    repository: 'octo-org/octo-repo',
    repository_id: '2002',
    repository_owner: 'octo-org',
    repository_owner_id: '1001',
    ...claims
  })}.${SIGNATURE}`
}

interface GitHub {
  readonly audiences: string[]
  readonly getIdToken: (audience: string) => Promise<string>
}

function gitHub(claims: Readonly<Record<string, unknown>> = {}): GitHub {
  const audiences: string[] = []
  return {
    audiences,
    getIdToken: (audience) => Promise.resolve(idToken({ ...claims, jti: audiences.push(audience) }))
  }
}

function oidc(wire: FakeWire, github: Pick<GitHub, 'getIdToken'>, cloud: Cloud = PUBLIC_CLOUD): TokenCredential {
  return createCredential({ kind: 'oidc', clientId: CLIENT, tenantId: TENANT }, cloud, {
    getIdToken: github.getIdToken,
    httpClient: wire,
    pause: fakePause().pause
  })
}

function entra(answer: (form: URLSearchParams, sent: Sent) => Answer | Error): FakeWire {
  return fakeWire((sent) => {
    if (sent.method === 'POST') return answer(new URLSearchParams(sent.text), sent)
    const authority = sent.url.replace(/\/v2\.0\/\.well-known\/openid-configuration.*$/, '')
    return {
      status: 200,
      body: {
        issuer: `${authority}/v2.0`,
        authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
        token_endpoint: `${authority}/oauth2/v2.0/token`,
        jwks_uri: `${authority}/keys`
      }
    }
  })
}

function token(accessToken: string): Answer {
  return { status: 200, body: { token_type: 'Bearer', expires_in: 3600, access_token: accessToken } }
}

function refusal(code: number, text: string): Answer {
  return {
    status: 401,
    body: {
      error: 'invalid_client',
      error_description: `AADSTS${String(code)}: ${text} Trace ID: 99999999-2222-3333-4444-555555555555 Correlation ID: ${CORRELATION} Timestamp: 2026-01-01 00:00:00Z`,
      error_codes: [code],
      correlation_id: CORRELATION,
      trace_id: '99999999-2222-3333-4444-555555555555'
    }
  }
}
const NO_MATCH = refusal(
  700213,
  `No matching federated identity record found for presented assertion subject '${NAMED}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.`
)

describe('GitHub’s ID token', () => {
  test('is exchanged for a token of the scope, at the tenant of the authority', async () => {
    const github = gitHub()
    const forms: URLSearchParams[] = []
    const wire = entra((form) => {
      forms.push(form)
      return token('at1')
    })
    expect(await oidc(wire, github).getToken(SCOPE)).toMatchObject({ token: 'at1' })
    expect(github.audiences).toEqual([PUBLIC_CLOUD.audience])
    expect(new URL(wire.sent[0]?.url ?? '').pathname).toBe(`/${TENANT}/oauth2/v2.0/token`)
    expect(Object.fromEntries(forms[0] ?? [])).toMatchObject({
      client_id: CLIENT,
      scope: SCOPE,
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: idToken({ jti: 1 })
    })
  })

  test('is a new one for every exchange', async () => {
    const github = gitHub()
    const assertions: (string | null)[] = []
    const wire = entra((form) => {
      assertions.push(form.get('client_assertion'))
      return token(`at${String(assertions.length)}`)
    })
    const credential = oidc(wire, github)
    expect(await credential.getToken(SCOPE)).toMatchObject({ token: 'at1' })
    expect(await credential.getToken('https://vault.azure.net/.default')).toMatchObject({ token: 'at2' })
    expect(await credential.getToken('other/.default', { tenantId: CLIENT })).toMatchObject({ token: 'at3' })
    expect(assertions).toEqual([1, 2, 3].map((jti) => idToken({ jti })))
  })

  test.each(['AzureCloud', 'AzureUSGovernment', 'AzureChinaCloud'])('goes to %s only', async (name) => {
    const cloud = cloudOf(name)
    const github = gitHub()
    const wire = entra(() => token('at'))
    await oidc(wire, github, cloud).getToken('x/.default')
    expect(github.audiences).toEqual([cloud.audience])
    expect(new Set(wire.sent.map(({ url }) => new URL(url).origin))).toEqual(new Set([cloud.authority]))
  })

  const AIR_GAPPED = cloudOf(
    '{"authority":"https://login.airgap.example","resourceManager":"https://arm.airgap.example","vaultSuffix":"vault.airgap.example","audience":"api://Airgap"}'
  )

  test('goes to an air-gapped cloud only', async () => {
    const wire = entra(() => token('at'))
    expect(await oidc(wire, gitHub(), AIR_GAPPED).getToken('x/.default')).toMatchObject({ token: 'at' })
    expect(new Set(wire.sent.map(({ url }) => new URL(url).origin))).toEqual(new Set([AIR_GAPPED.authority]))
  })

  test('a tenant that an air-gapped cloud does not know', async () => {
    const wire = fakeWire(() => ({
      status: 400,
      body: { error: 'invalid_tenant', error_description: 'AADSTS90002: x.' }
    }))
    expect(await rejection(oidc(wire, gitHub(), AIR_GAPPED).getToken('x/.default'))).toMatchObject({
      code: 'tenant-not-found',
      message: expect.stringContaining(TENANT)
    })
  })

  test('that GitHub does not give', async () => {
    const getIdToken = (): Promise<string> =>
      Promise.reject(new Error('Unable to get ACTIONS_ID_TOKEN_REQUEST_URL env variable'))
    const error = await rejection(
      oidc(
        entra(() => token('at')),
        { getIdToken }
      ).getToken(SCOPE)
    )
    expect(error).toMatchObject({
      code: 'oidc-unavailable',
      message: expect.stringContaining('ACTIONS_ID_TOKEN_REQUEST_URL')
    })
  })

  test('that GitHub gives again: what Entra says then counts', async () => {
    let works = false
    const answers = [NO_MATCH, token('at')]
    const credential = oidc(
      entra(() => answers.shift() ?? NO_MATCH),
      {
        getIdToken: () => (works ? Promise.resolve(idToken({})) : Promise.reject(new Error('x')))
      }
    )
    expect(await rejection(credential.getToken(SCOPE))).toMatchObject({ code: 'oidc-unavailable' })
    works = true
    expect(await rejection(credential.getToken(SCOPE))).toMatchObject({ code: 'federated-credential-mismatch' })
    expect(await credential.getToken(SCOPE)).toMatchObject({ token: 'at' })
  })
})

describe('a federated credential that does not match', () => {
  test.each([
    ['named', NAMED, IMMUTABLE],
    ['immutable', IMMUTABLE, NAMED]
  ])('%s subject sent: the message has the claims and the commands, in both formats', async (_, sent, other) => {
    const wire = entra(() => NO_MATCH)
    const { message, code } = (await rejection(oidc(wire, gitHub({ sub: sent })).getToken(SCOPE))) as Error & {
      code: string
    }
    expect(code).toBe('federated-credential-mismatch')
    expect(message).toContain(`subject:  ${sent}\n`)
    expect(message).toContain(`audience: ${PUBLIC_CLOUD.audience}\n`)
    expect(message).toContain('issuer:   https://token.actions.githubusercontent.com\n')
    expect(message).toContain(`${sent}   (sent)`)
    expect(message).toContain(`${other}   (not sent)`)
    for (const subject of [sent, other]) expect(message).toContain(`"subject":"${subject}"`)
    expect(message).toContain(
      `az ad app federated-credential create --id ${CLIENT} --parameters '{"name":"github-octo-org-`
    )
    expect(message).toContain('az identity federated-credential create')
    expect(message).toContain(CORRELATION)
    expect(message).not.toContain('99999999')
    expect(message).not.toContain(SIGNATURE)
    expect(wire.sent).toHaveLength(1)
  })

  test.each([70021, 700211, 700212, 7002138])('AADSTS%i', async (code) => {
    expect(
      await rejection(
        oidc(
          entra(() => refusal(code, 'No. More.')),
          gitHub()
        ).getToken(SCOPE)
      )
    ).toMatchObject({
      code: 'federated-credential-mismatch'
    })
  })

  test('a subject of the organization’s own making has no other format', async () => {
    const error = await rejection(
      oidc(
        entra(() => NO_MATCH),
        gitHub({ sub: 'environment:prod' })
      ).getToken(SCOPE)
    )
    expect(error.message).toContain('subject:  environment:prod')
    expect(error.message).not.toContain('not sent')
  })

  test('a quote in an environment’s name can’t leave the command', async () => {
    const error = await rejection(
      oidc(
        entra(() => NO_MATCH),
        gitHub({ sub: `${NAMED}'; rm -rf ~; '` })
      ).getToken(SCOPE)
    )
    expect(error.message).toContain(`"subject":"${NAMED}'\\''; rm -rf ~; '\\''"`)
  })

  test('the command’s JSON is what Entra takes', async () => {
    const error = await rejection(
      oidc(
        entra(() => NO_MATCH),
        gitHub({ sub: `${NAMED}${'x'.repeat(200)}` })
      ).getToken(SCOPE)
    )
    const parameters = JSON.parse(/--parameters '(.*)'/.exec(error.message)?.[1] ?? '') as { name: string }
    expect(parameters).toEqual({
      name: expect.stringMatching(/^[0-9A-Za-z][0-9A-Za-z_-]{2,119}$/),
      issuer: 'https://token.actions.githubusercontent.com',
      subject: `${NAMED}${'x'.repeat(200)}`,
      audiences: [PUBLIC_CLOUD.audience]
    })
  })
})

describe('Entra refuses', () => {
  test.each([
    [90002, `Tenant '${TENANT}' not found. Check.`, 'tenant-not-found', `Tenant '${TENANT}' not found.`],
    [900023, "Specified tenant identifier 'x' is neither valid. More.", 'tenant-not-found', TENANT],
    [
      700016,
      "Application with identifier 'x' was not found in the directory 'y'. This can happen",
      'client-not-found',
      CLIENT
    ],
    [
      700024,
      'Client assertion is not within its valid time range. Current time: 2026-11-22T00:00:00Z.',
      'sign-in-failed',
      'clock'
    ],
    [
      53003,
      'Access has been blocked by Conditional Access policies. More.',
      'sign-in-failed',
      'AADSTS53003: Access has been blocked by Conditional Access policies. (corr'
    ],
    [650057, 'Invalid resource', 'sign-in-failed', 'AADSTS650057: Invalid resource (corr']
  ])('AADSTS%i', async (code, text, expected, words) => {
    const wire = entra(() => refusal(code, text))
    const error = await rejection(oidc(wire, gitHub()).getToken(SCOPE))
    expect(error).toMatchObject({ code: expected, message: expect.stringContaining(words) })
    expect(error.message).toContain(CORRELATION)
    expect(error.message).not.toContain('Trace')
    expect(wire.sent).toHaveLength(1)
  })
})

describe('Entra does not answer', () => {
  test('for a while', async () => {
    let exchanges = 0
    const wire = entra(() => (++exchanges < 4 ? new RestError('socket hang up', { code: 'ECONNRESET' }) : token('at')))
    expect(await oidc(wire, gitHub()).getToken(SCOPE)).toMatchObject({ token: 'at' })
  })

  test.each([
    [new RestError('socket hang up', { code: 'ECONNRESET' }), 'ECONNRESET'],
    [{ status: 503, body: '<html>busy</html>' }, 'HTTP status 503']
  ])('at all: %s', async (answer, words) => {
    const wire = entra(() => answer)
    expect(await rejection(oidc(wire, gitHub()).getToken(SCOPE))).toMatchObject({
      code: 'azure-unavailable',
      message: expect.stringContaining(words)
    })
    expect(wire.sent).toHaveLength(9)
  })
})

test('an abort ends the wait for Entra, with the signal’s reason', async () => {
  const abort = new AbortController()
  const reason = new Error('cancelled')
  const credential = createCredential({ kind: 'oidc', clientId: CLIENT, tenantId: TENANT }, PUBLIC_CLOUD, {
    getIdToken: gitHub().getIdToken,
    httpClient: { sendRequest: () => new Promise(() => undefined) }
  })
  const asked = credential.getToken(SCOPE, { abortSignal: abort.signal })
  setTimeout(() => {
    abort.abort(reason)
  }, 20)
  expect(await rejection(asked)).toBe(reason)
  expect(await rejection(credential.getToken('x/.default', { abortSignal: AbortSignal.abort(reason) }))).toBe(reason)
})

test('a token is kept until shortly before it expires', async () => {
  const github = gitHub()
  let lifetime = 3600
  const wire = entra(() => ({ status: 200, body: { token_type: 'Bearer', expires_in: lifetime, access_token: 'at' } }))
  const credential = oidc(wire, github)
  await Promise.all([credential.getToken(SCOPE), credential.getToken(SCOPE)])
  await credential.getToken(SCOPE)
  expect(github.audiences).toHaveLength(1)
  lifetime = 120
  await credential.getToken('y/.default')
  await credential.getToken('y/.default')
  expect(github.audiences).toHaveLength(3)
})

test('the Azure CLI that is not signed in', async () => {
  const credential = createCredential({ kind: 'azure-cli', tenantId: undefined }, PUBLIC_CLOUD, gitHub())
  const path = process.env['PATH']
  process.env['PATH'] = '/nowhere'
  try {
    expect(await rejection(credential.getToken(SCOPE))).toMatchObject({
      code: 'sign-in-failed',
      message: expect.stringMatching(/the Azure CLI failed: .*Azure CLI could not be found/)
    })
  } finally {
    process.env['PATH'] = path
  }
})
