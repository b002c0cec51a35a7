import { expect, test } from '@jest/globals'

import { listSecrets, type SecretPage } from '../../src/kubernetes/listing.ts'
import type { HttpAnswer, HttpRequest } from '../../src/kubernetes/transport.ts'

type Respond = (path: string, query: URLSearchParams) => HttpAnswer

const answer = (status: number, value: unknown): HttpAnswer => ({
  status,
  headers: {},
  body: Buffer.from(JSON.stringify(value))
})

function table(names: readonly string[], resourceVersion: string, next = ''): HttpAnswer {
  return answer(200, {
    kind: 'Table',
    metadata: { resourceVersion, ...(next !== '' && { continue: next }) },
    columnDefinitions: [{ name: 'Name' }],
    rows: names.map((name) => ({ cells: [name] }))
  })
}

const expired = (next = '') =>
  answer(410, { kind: 'Status', reason: 'Expired', message: 'too old', metadata: { continue: next } })

/** An API server that answers as told, and keeps what it was asked. */
function serverThat(respond: Respond) {
  const asked: string[] = []
  const request = async ({ path }: HttpRequest): Promise<HttpAnswer> => {
    asked.push(path)
    const { pathname, searchParams } = new URL(path, 'https://server')
    await new Promise(setImmediate)
    return respond(pathname, searchParams)
  }
  return { asked, request }
}

async function collect(respond: Respond, pageSize = 2): Promise<SecretPage[]> {
  const pages: SecretPage[] = []
  for await (const page of listSecrets(serverThat(respond), pageSize)) pages.push(page)
  return pages
}

/** One namespace whose pages are told by the continue token that asks for them. */
function oneNamespace(pages: Readonly<Record<string, HttpAnswer | (() => HttpAnswer)>>): Respond {
  return (path, query) => {
    if (path === '/api/v1/namespaces') return table(['one'], '1')
    const page = pages[query.get('continue') ?? '']
    if (page === undefined) throw new Error(`nobody gave out the token ${query.get('continue')}`)
    return typeof page === 'function' ? page() : page
  }
}

test('every page of every namespace, with the resourceVersion that it was listed at', async () => {
  const pages = await collect((path, query) => {
    if (path === '/api/v1/namespaces') return query.has('continue') ? table(['c'], '3') : table(['a', 'b'], '3', 'more')
    if (path === '/api/v1/namespaces/b/secrets') return table([], '4')
    if (path === '/api/v1/namespaces/c/secrets') return table(['s'], '5')
    return query.has('continue') ? table(['s3'], '6') : table(['s1', 's2'], '6', 'next')
  })
  expect(pages).toEqual([
    { namespace: 'a', names: ['s1', 's2'], resourceVersion: '6' },
    { namespace: 'a', names: ['s3'], resourceVersion: '6' },
    { namespace: 'c', names: ['s'], resourceVersion: '5' }
  ])
})

test('only the strictest form of an answer is asked for', async () => {
  const server = serverThat(oneNamespace({ '': table(['s'], '1') }))
  const accepts: (string | undefined)[] = []
  const request = (asked: HttpRequest) => {
    accepts.push(asked.headers?.['accept'])
    return server.request(asked)
  }
  const pages = listSecrets({ request }, 500)
  while ((await pages.next()).done !== true);
  expect(new Set(accepts)).toEqual(new Set(['application/json;as=Table;g=meta.k8s.io;v=v1']))
  expect(server.asked.every((path) => path.includes('includeObject=None') && path.includes('limit=500'))).toBe(true)
})

test('an expired list goes on where it was, by the token of the answer, at the later resourceVersion', async () => {
  const pages = await collect(
    oneNamespace({
      '': table(['a', 'b'], '10', 'old'),
      old: expired('inconsistent'),
      inconsistent: table(['c', 'd'], '20', 'last'),
      last: table(['e'], '20')
    })
  )
  expect(pages.map(({ names, resourceVersion }) => [resourceVersion, ...names])).toEqual([
    ['10', 'a', 'b'],
    ['20', 'c', 'd'],
    ['20', 'e']
  ])
})

test('an expired list without such a token begins again, and repeats no name', async () => {
  let begun = 0
  const pages = await collect(
    oneNamespace({
      '': () => (begun++ === 0 ? table(['a', 'c'], '10', 'old') : table(['a', 'b'], '20', 'new')),
      old: expired(),
      new: table(['c', 'd'], '20')
    })
  )
  expect(pages.flatMap(({ names }) => names)).toEqual(['a', 'c', 'd'])
})

test('a list may expire as often as it likes, as long as it goes on in between', async () => {
  const letters = 'abcdefghijkl'.split('')
  const steps = letters.flatMap<[string, HttpAnswer]>((letter, i) => [
    [`old-${i}`, expired(`new-${i}`)],
    [`new-${i}`, table([letter], '20', i + 1 < letters.length ? `old-${i + 1}` : '')]
  ])
  const pages = await collect(oneNamespace({ '': table(['A'], '10', 'old-0'), ...Object.fromEntries(steps) }))
  expect(pages.flatMap(({ names }) => names)).toEqual(['A', ...letters])
})

test('a list that expires again and again fails', async () => {
  let asked = 0
  const listing = collect(oneNamespace({ '': table(['a'], '10', 'old'), old: () => (asked++, expired('old')) }))
  await expect(listing).rejects.toMatchObject({
    code: 'secrets-listing-failed',
    message: expect.stringContaining('namespace one')
  })
  expect(asked).toBe(6)
})

test.each([
  ['an answer that is no table', answer(200, { kind: 'SecretList', items: [] })],
  [
    'a refusal',
    answer(406, { kind: 'Status', reason: 'NotAcceptable', message: 'only the following media types are accepted' })
  ]
])('%s fails the listing', async (_, page) => {
  await expect(collect(oneNamespace({ '': page }))).rejects.toMatchObject({ code: 'secrets-listing-failed' })
})

test('namespaces that appear meanwhile are walked too, each once', async () => {
  const namespaces = ['a']
  const pages = await collect((path) => {
    if (path === '/api/v1/namespaces') return table([...namespaces].sort(), '1')
    const namespace = path.split('/')[4] ?? ''
    const next = { a: 'c', c: 'b' }[namespace]
    if (next !== undefined && !namespaces.includes(next)) namespaces.push(next)
    return table([`in-${namespace}`], '2')
  })
  expect(pages.map(({ namespace }) => namespace)).toEqual(['a', 'c', 'b'])
})

test.each([
  ['sixteen large', 20, undefined, 16],
  ['twenty-five middling', 8, undefined, 25],
  ['sixty-four small', 1, undefined, 64],
  ['as many as may be under way', 1, 3, 3]
])('%s namespaces and one page of each are fetched ahead, not more', async (_, size, atOnce, ahead) => {
  const names = Array.from({ length: 80 }, (_, i) => `namespace-${String(i).padStart(2, '0')}`)
  const secrets = (prefix: string) => Array.from({ length: size }, (_, i) => prefix + String(i).padStart(2, '0'))
  const server = serverThat((path, query) => {
    if (path === '/api/v1/namespaces') return table(names, '1')
    return query.has('continue') ? table(secrets('z'), '2') : table(secrets('s'), '2', 'next')
  })
  const pages = listSecrets(server, size, atOnce)
  await pages.next()
  await pages.next()
  for (let i = 0; i < 50; i++) await new Promise(setImmediate)
  const secretLists = server.asked.filter((path) => path.includes('/secrets'))
  expect(secretLists).toHaveLength(ahead + 1)
  expect(secretLists.filter((path) => path.includes('/namespace-00/'))).toHaveLength(2)
  await pages.return()
})

test('a failure ahead is thrown when it is reached, and nobody else hears of it', async () => {
  const failure = new Error('refused')
  const pages = listSecrets(
    serverThat((path) => {
      if (path === '/api/v1/namespaces') return table(['a', 'b', 'c'], '1')
      if (path.includes('/b/')) throw failure
      return table(['s'], '2')
    }),
    500
  )
  expect((await pages.next()).value).toMatchObject({ namespace: 'a' })
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
  await expect(pages.next()).rejects.toBe(failure)
})
