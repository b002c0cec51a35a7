import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'

import { ActionError } from '../../src/errors.ts'
import { readKubeconfig } from '../../src/kubernetes/connection.ts'
import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'

const authority = await createCertificateAuthority()
const client = await authority.issue({ hosts: [], commonName: 'somebody' })
const folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
afterAll(() => rmSync(folder, { recursive: true }))

const base64 = (text: string) => Buffer.from(text).toString('base64')
const ca = { 'certificate-authority-data': base64(authority.certificate) }
const certificate = { 'client-certificate-data': base64(client.certificate), 'client-key-data': base64(client.key) }
const token = { token: 'sesame' }

/** JSON is YAML. */
function kubeconfig({
  cluster = {},
  user = token,
  ...over
}: { cluster?: object; user?: object } & Record<string, unknown> = {}) {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [
      { name: 'elsewhere', context: {} },
      { name: 'here', context: { cluster: 'blue', user: 'runner' } }
    ],
    clusters: [
      { name: 'green' },
      { name: 'blue', cluster: { server: 'https://api.example.test:6443', ...ca, ...cluster } }
    ],
    users: [{ name: 'runner', user }],
    ...over
  })
}

const read = (over?: Parameters<typeof kubeconfig>[0]) => readKubeconfig({ kubeconfig: kubeconfig(over) })

function problemOf(attempt: () => unknown): ActionError {
  try {
    attempt()
  } catch (error) {
    if (error instanceof ActionError) return error
  }
  throw new Error('there was no problem')
}

const environment = process.env
beforeEach(() => {
  process.env = { PATH: environment['PATH'] }
})
afterEach(() => {
  process.env = environment
})

test('the current context’s server and token', async () => {
  const endpoint = read({ cluster: { server: 'https://api.example.test:6443/k8s/', 'tls-server-name': 'kubernetes' } })
  expect(endpoint.server.href).toBe('https://api.example.test:6443/k8s')
  expect(endpoint.serverName).toBe('kubernetes')
  expect(endpoint.proxy).toBeUndefined()
  expect(await endpoint.credential()).toMatchObject({ authorization: 'Bearer sesame' })
})

test('as AKS writes it', async () => {
  const text = [
    'apiVersion: v1',
    'clusters:',
    '- cluster:',
    `    certificate-authority-data: ${base64(authority.certificate)}`,
    '    server: https://aks-dns-1234.hcp.westeurope.azmk8s.io:443',
    '  name: aks',
    'contexts:',
    '- context:',
    '    cluster: aks',
    '    user: clusterAdmin_rg_aks',
    '  name: aks-admin',
    'current-context: aks-admin',
    'kind: Config',
    'preferences: {}',
    'users:',
    '- name: clusterAdmin_rg_aks',
    '  user:',
    `    client-certificate-data: ${base64(client.certificate)}`,
    `    client-key-data: ${base64(client.key)}`,
    '    token: abcdef'
  ].join('\n')
  const endpoint = readKubeconfig({ kubeconfig: text })
  expect(endpoint.server.hostname).toBe('aks-dns-1234.hcp.westeurope.azmk8s.io')
  expect(await endpoint.credential()).toMatchObject({ authorization: 'Bearer abcdef' })
})

test('a client certificate needs no token', async () => {
  expect(await read({ user: certificate }).credential()).toMatchObject({ authorization: undefined })
})

test('files for authority, certificate and key', async () => {
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const endpoint = read({
    cluster: {
      'certificate-authority-data': undefined,
      'certificate-authority': file('ca.pem', authority.certificate)
    },
    user: { 'client-certificate': file('cert.pem', client.certificate), 'client-key': file('key.pem', client.key) }
  })
  expect(await endpoint.credential()).toMatchObject({ authorization: undefined })
})

test('a token file is read again after a minute, or when its token was rejected', async () => {
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, 'first\n')
  const endpoint = read({ user: { tokenFile, token: 'older' } })
  const authorization = async () => (await endpoint.credential()).authorization
  expect(await authorization()).toBe('Bearer first')
  writeFileSync(tokenFile, 'second')
  expect(await authorization()).toBe('Bearer first')
  endpoint.rejectCredential()
  expect(await authorization()).toBe('Bearer second')
  writeFileSync(tokenFile, 'third')
  jest.useFakeTimers({ now: Date.now() + 61_000 })
  try {
    expect(await authorization()).toBe('Bearer third')
  } finally {
    jest.useRealTimers()
  }
})

test('a bearer token replaces whatever the kubeconfig says of its user', async () => {
  let asked = 0
  const endpoint = readKubeconfig({
    kubeconfig: kubeconfig({ user: { exec: { command: 'kubelogin' } } }),
    bearerToken: () => Promise.resolve(`entra-${++asked}`)
  })
  expect(await endpoint.credential()).toMatchObject({ authorization: 'Bearer entra-1' })
  expect(await endpoint.credential()).toMatchObject({ authorization: 'Bearer entra-2' })
})

describe('a proxy', () => {
  test('of the kubeconfig goes before that of the environment', () => {
    process.env['HTTPS_PROXY'] = 'http://other.test:3128'
    expect(read({ cluster: { 'proxy-url': 'http://proxy.test:8080' } }).proxy?.host).toBe('proxy.test:8080')
  })

  test('of the environment, unless the host is exempt', () => {
    process.env['HTTPS_PROXY'] = 'http://other.test:3128'
    expect(read().proxy?.host).toBe('other.test:3128')
    process.env['NO_PROXY'] = '.example.test'
    expect(read().proxy).toBeUndefined()
  })
})

describe('is refused', () => {
  test.each<[string, Parameters<typeof kubeconfig>[0], RegExp]>([
    ['without a current context', { 'current-context': '' }, /no current-context/],
    ['with a current context that is not there', { 'current-context': 'gone' }, /"gone" is not there/],
    ['with a context that names no cluster', { 'current-context': 'elsewhere' }, /"elsewhere".* names no cluster/],
    ['without the cluster', { clusters: [] }, /context "here" names cluster "blue", which is not there/],
    ['without the user', { users: [] }, /context "here" names user "runner", which is not there/],
    ['with a server by http', { cluster: { server: 'http://api' } }, /cluster "blue" is not an https address/],
    ['with a server that is none', { cluster: { server: 'api' } }, /cluster "blue" is not an https address/],
    [
      'with a server that is no text',
      { cluster: { server: 7 } },
      /cluster "blue", which is not there or has no server/
    ],
    [
      'without a check of the certificate',
      { cluster: { 'insecure-skip-tls-verify': true } },
      /cluster "blue".*never switched off/
    ],
    ['with a proxy of another kind', { cluster: { 'proxy-url': 'socks5://proxy' } }, /proxy-url of cluster "blue"/],
    [
      'with an authority that is no PEM',
      { cluster: { 'certificate-authority-data': base64('sesame') } },
      /certificate-authority-data of cluster "blue"/
    ],
    [
      'with an authority that is not there',
      { cluster: { 'certificate-authority-data': '', 'certificate-authority': '/no/ca' } },
      /certificate-authority of cluster "blue", \/no\/ca,/
    ],
    [
      'with a key that is no key',
      { user: { ...certificate, 'client-key-data': base64('-----BEGIN sesame') } },
      /user "runner" can’t be used/
    ],
    [
      'with a certificate without a key',
      { user: { 'client-certificate-data': certificate['client-certificate-data'] } },
      /user "runner".*not both/
    ],
    ['with a user without a credential', { user: {} }, /user "runner" has no credential/],
    ['with user name and password', { user: { username: 'admin', password: 'sesame' } }, /user "runner".*password/],
    [
      'with an auth-provider',
      { user: { 'auth-provider': { name: 'azure', config: { 'access-token': 'sesame' } } } },
      /user "runner".*auth-provider/
    ],
    ['with impersonation', { user: { ...token, as: 'admin' } }, /user "runner" impersonates/]
  ])('%s', (_, over, message) => {
    const problem = problemOf(() => read(over))
    expect(problem.code).toBe('kubeconfig-invalid')
    expect(problem.message).toMatch(message)
    expect(`${problem.message}${problem.fix}`).not.toContain('sesame')
  })

  test.each([
    ['that is not YAML', 'users:\n  token: "sesame\nmore: [', /not YAML at line \d/],
    ['that is a text', 'sesame', /not a kubeconfig/],
    ['that is empty', '', /not YAML/]
  ])('a text %s', (_, text, message) => {
    const problem = problemOf(() => readKubeconfig({ kubeconfig: text }))
    expect(problem.message).toMatch(message)
    expect(String(problem.stack)).not.toContain('sesame')
  })
})

describe('an exec plugin', () => {
  const counter = join(folder, 'count')
  beforeEach(() => rmSync(counter, { force: true }))

  /** A plugin that answers with what the expression gives; `n` counts its calls. */
  function plugin(expression: string, exec: object = {}) {
    const script = `
      const fs = require('node:fs')
      fs.appendFileSync(process.argv[1], '.')
      const n = fs.readFileSync(process.argv[1], 'utf8').length
      const info = JSON.parse(process.env.KUBERNETES_EXEC_INFO)
      const inMs = (ms) => new Date(Date.now() + ms).toISOString()
      console.log(JSON.stringify({ ...info, status: ${expression} }))`
    return read({
      user: {
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: process.execPath,
          args: ['-e', script, counter],
          ...exec
        }
      }
    })
  }

  test('is asked once, by many at once, as long as its token does not expire', async () => {
    const endpoint = plugin(`{ token: 't' + n, expirationTimestamp: inMs(3600000) }`)
    const [a, b] = await Promise.all([endpoint.credential(), endpoint.credential()])
    expect([a.authorization, b.authorization]).toEqual(['Bearer t1', 'Bearer t1'])
    expect((await endpoint.credential()).authorization).toBe('Bearer t1')
  })

  test('is asked again before its token expires', async () => {
    const endpoint = plugin(`{ token: 't' + n, expirationTimestamp: inMs(600000) }`)
    expect((await endpoint.credential()).authorization).toBe('Bearer t1')
    const now = Date.now()
    const clock = jest.spyOn(Date, 'now')
    try {
      clock.mockReturnValue(now + 475_000)
      expect((await endpoint.credential()).authorization).toBe('Bearer t1')
      clock.mockReturnValue(now + 485_000)
      expect((await endpoint.credential()).authorization).toBe('Bearer t2')
    } finally {
      clock.mockRestore()
    }
  })

  test('is asked again when its token was rejected', async () => {
    const endpoint = plugin(`{ token: 't' + n }`)
    expect((await endpoint.credential()).authorization).toBe('Bearer t1')
    endpoint.rejectCredential()
    const asked = endpoint.credential()
    endpoint.rejectCredential()
    expect((await asked).authorization).toBe('Bearer t2')
    expect((await endpoint.credential()).authorization).toBe('Bearer t2')
  })

  test('may give a client certificate', async () => {
    const status = { clientCertificateData: client.certificate, clientKeyData: client.key }
    expect(await plugin(JSON.stringify(status)).credential()).toMatchObject({ authorization: undefined })
  })

  test('gets its environment, and the cluster where it wants to know', async () => {
    const token = '{ token: [process.env.EXTRA, info.apiVersion, info.spec.cluster?.server].join() }'
    const exec = { env: [{ name: 'EXTRA', value: 'x' }] }
    expect((await plugin(token, exec).credential()).authorization).toBe('Bearer x,client.authentication.k8s.io/v1,')
    const informed = plugin(token, { ...exec, provideClusterInfo: true })
    expect((await informed.credential()).authorization).toContain('https://api.example.test:6443')
  })

  test.each([
    ['that is not installed', { command: '/no/such/plugin' }, /"runner".*\/no\/such\/plugin is not installed/],
    ['without a command', { command: '' }, /names no command/],
    ['that fails', { args: ['-e', 'console.error("sesame"); process.exit(3)'] }, /ended with 3/],
    ['that answers with something else', { args: ['-e', 'console.log("sesame")'] }, /not JSON/],
    ['that answers without status', { args: ['-e', 'console.log("{}")'] }, /no status/],
    ['that answers with nothing', { args: ['-e', `console.log('{"status":{}}')`] }, /neither a token nor/]
  ])('%s', async (_, exec, message) => {
    const failure = plugin('{}', exec).credential()
    await expect(failure).rejects.toMatchObject({ code: 'kubeconfig-invalid', message: expect.stringMatching(message) })
    await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining('sesame') })
  })

  test('that failed is asked again', async () => {
    const endpoint = plugin(`n === 1 ? {} : { token: 't' + n }`)
    await expect(endpoint.credential()).rejects.toThrow()
    expect((await endpoint.credential()).authorization).toBe('Bearer t2')
  })
})
