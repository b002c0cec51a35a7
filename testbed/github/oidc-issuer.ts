import { randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createSigningKey, publicJwk, readToken, signToken } from '../azure/jwt.ts'
import { textAt, type JsonObject } from '../azure/json.ts'
import { answer, type WireAnswer, type WireHandler } from '../network.ts'

export const GITHUB_ISSUER = 'https://token.actions.githubusercontent.com'

/** The endpoint of the runner that hands a job its ID tokens, and the issuer behind it. */
export interface GitHubIssuer {
  readonly issuer: string
  /** What the runner puts into the environment of a job with `permissions: id-token: write`. */
  readonly environment: Readonly<Record<'ACTIONS_ID_TOKEN_REQUEST_URL' | 'ACTIONS_ID_TOKEN_REQUEST_TOKEN', string>>
  /** Claims of the next tokens. `sub` is a plain string: old or immutable format. */
  readonly claims: JsonObject
  readonly subject: string
  setClaims(claims: JsonObject): void
  /** Seconds from issue to expiry of the next tokens; zero or less makes them stale at birth. */
  setLifetime(seconds: number): void
  /** Answers the next requests with a failure of the runner's service. */
  failNext(times: number, failure: WireAnswer): void
  /** Every token handed out, oldest first. */
  readonly issued: readonly { readonly token: string; readonly audience: string; readonly claims: JsonObject }[]
  /** The claims of a token that this issuer signed, whatever they say; undefined for every other text. */
  verify(token: string): JsonObject | undefined
  readonly jwks: JsonObject
  close(): Promise<void>
}

export interface GitHubIssuerOptions {
  /** Added to the usual claims of a job, or in their place. */
  readonly claims?: JsonObject
}

/** GitHub lets its tokens live five minutes and dates them back ten. */
const LIFETIME = 300
const BACKDATED = 600

export async function startGitHubIssuer(options: GitHubIssuerOptions = {}): Promise<GitHubIssuer> {
  const key = await createSigningKey()
  const requestToken = randomBytes(32).toString('base64url')
  const issued: { token: string; audience: string; claims: JsonObject }[] = []
  const failures: WireAnswer[] = []
  let claims: JsonObject = { ...usualClaims, ...options.claims }
  let lifetime = LIFETIME

  const issue = (audience: string): string => {
    const now = Math.floor(Date.now() / 1000)
    const filled: JsonObject = {
      jti: randomUUID(),
      ...claims,
      aud: audience,
      iss: GITHUB_ISSUER,
      nbf: now - BACKDATED,
      iat: now,
      exp: now + lifetime
    }
    const token = signToken(key, filled)
    issued.push({ token, audience, claims: filled })
    return token
  }

  const handler: WireHandler = ({ headers, query }) => {
    if (headers.authorization?.replace(/^bearer /i, '') !== requestToken) {
      return { status: 401, body: { message: 'The request token is not valid.' } }
    }
    const failure = failures.shift()
    if (failure !== undefined) return failure
    if (query.get('api-version') !== '2.0') return { status: 400, body: { message: 'api-version=2.0 is required.' } }
    const value = issue(query.get('audience') ?? 'https://github.com/octo')
    return { status: 200, body: { count: value.length, value } }
  }
  const server = createServer((request, response) => {
    answer(request, response, handler).catch(() => response.destroy())
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    issuer: GITHUB_ISSUER,
    environment: {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${address}/idtoken/${randomUUID()}/${randomUUID()}?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken
    },
    get claims() {
      return claims
    },
    get subject() {
      return textAt(claims, 'sub')
    },
    setClaims(changes) {
      claims = { ...claims, ...changes }
    },
    setLifetime(seconds) {
      lifetime = seconds
    },
    failNext(times, failure) {
      for (let i = 0; i < times; i++) failures.push(failure)
    },
    issued,
    verify: (token) => readToken(key, token),
    jwks: { keys: [publicJwk(key)] },
    async close() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    }
  }
}

/** The claims of a job on the main branch of a repository from before immutable subjects. */
const usualClaims: JsonObject = {
  sub: 'repo:octo/platform:ref:refs/heads/main',
  ref: 'refs/heads/main',
  sha: 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',
  repository: 'octo/platform',
  repository_owner: 'octo',
  repository_owner_id: '1111',
  repository_id: '2222',
  repository_visibility: 'private',
  run_id: '7001',
  run_number: '42',
  run_attempt: '1',
  actor: 'mona',
  actor_id: '3333',
  workflow: 'rotate',
  head_ref: '',
  base_ref: '',
  event_name: 'schedule',
  ref_protected: 'true',
  ref_type: 'branch',
  workflow_ref: 'octo/platform/.github/workflows/rotate.yml@refs/heads/main',
  job_workflow_ref: 'octo/platform/.github/workflows/rotate.yml@refs/heads/main',
  runner_environment: 'github-hosted'
}
