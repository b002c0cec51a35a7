import { describe, expect, test } from '@jest/globals'
import { createControlPlaneKeys } from '../../src/azure/control-plane-keys.ts'
import { createResourceManager } from '../../src/azure/resource-manager.ts'
import { keyVersion } from '../fixtures/observed.ts'
import { fakeCredential, fakePause, fakeWire, PUBLIC_CLOUD, rejection, type Answer } from './azure-fakes.ts'

const VAULT = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-platform'
const KEY = keyVersion(1)
const VERSIONS = `https://management.azure.com${VAULT}/keys/etcd/versions`

function keys(answer: (url: string) => Answer) {
  const wire = fakeWire(({ url }) => answer(url))
  const arm = createResourceManager(fakeCredential, PUBLIC_CLOUD, 's', { httpClient: wire, pause: fakePause().pause })
  return { wire, keys: createControlPlaneKeys(arm, PUBLIC_CLOUD, VAULT) }
}

function shown(url: string, attributes: Readonly<Record<string, unknown>> = {}) {
  const properties = {
    attributes: { enabled: true, created: 1_790_000_000, ...attributes },
    kty: 'RSA',
    keyOps: ['encrypt', 'decrypt'],
    keyUriWithVersion: url
  }
  return { properties }
}

describe('keys by Resource Manager', () => {
  test('a version, with times in milliseconds', async () => {
    const attributes = { enabled: false, nbf: 1_790_000_001, exp: 1_790_000_002 }
    const { keys: reader, wire } = keys(() => ({ status: 200, body: shown(KEY.url, attributes) }))
    expect(await reader.readKey(KEY)).toEqual({
      kind: 'readable',
      key: {
        id: KEY,
        enabled: false,
        created: 1_790_000_000_000,
        notBefore: 1_790_000_001_000,
        expires: 1_790_000_002_000,
        keyType: 'RSA',
        keyOperations: ['encrypt', 'decrypt']
      }
    })
    expect(wire.sent.map(({ url }) => url)).toEqual([`${VERSIONS}/${KEY.version}?api-version=2026-02-01`])
  })

  test('all versions, page by page, in the order they come', async () => {
    const ids = [3, 1, 2].map((n) => keyVersion(n).url)
    const { keys: reader } = keys((url) =>
      url.includes('skiptoken')
        ? { status: 200, body: { value: ids.slice(2).map((id) => shown(id)) } }
        : { status: 200, body: { value: ids.slice(0, 2).map((id) => shown(id)), nextLink: `${VERSIONS}?skiptoken=2` } }
    )
    const observation = await reader.listVersions('', 'etcd')
    expect(observation.kind === 'readable' && observation.versions.map(({ id }) => id.url)).toEqual(ids)
  })

  test.each<[string, Answer, string]>([
    [
      'who may not by a role on the vault',
      { status: 403, body: { error: { code: 'AuthorizationFailed', message: 'No.' } } },
      'forbidden'
    ],
    [
      'who may not by a role on the key',
      { status: 400, body: { error: { code: 'ForbiddenByRbac', message: 'No.' } } },
      'forbidden'
    ],
    ['what is not there', { status: 404, body: { error: { code: 'KeyNotFound', message: 'No.' } } }, 'not-found']
  ])('%s is told', async (_name, answer, reason) => {
    const { keys: reader } = keys(() => answer)
    expect(await reader.readKey(KEY)).toMatchObject({ kind: 'unreadable', id: KEY, reason })
    expect(await reader.listVersions('', 'etcd')).toMatchObject({ kind: 'unreadable', reason })
  })

  test('that Azure does not answer is no property of a key', async () => {
    const { keys: reader } = keys(() => ({ status: 503, body: { error: { code: 'Busy', message: 'Busy.' } } }))
    expect(await rejection(reader.readKey(KEY))).toMatchObject({ code: 'azure-unavailable' })
  })
})
