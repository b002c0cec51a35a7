import { beforeAll, expect, test } from '@jest/globals'

import { accept } from './media-types.ts'
import { call, failure, plant, revisionOf, type Answer, type Subject } from './subject.ts'

const namespace = 'paging-conforms'
const collection = `/api/v1/namespaces/${namespace}/secrets`

interface Page {
  readonly metadata: {
    readonly resourceVersion: string
    readonly continue?: string
    readonly remainingItemCount?: number
  }
  readonly rows: readonly { readonly cells: readonly unknown[] }[]
}

/** Lists in pages, their tokens, and what becomes of them when etcd forgets. */
export function pagingConforms(subject: () => Subject): void {
  beforeAll(async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await plant(subject(), namespace, name)
  })

  const list = (query: string): Promise<Answer> =>
    call(subject(), 'GET', `${collection}?includeObject=None&${query}`, { accept: accept.table })
  const page = async (query: string): Promise<Page> => (await list(query)).body as Page
  const names = ({ rows }: Page): unknown[] => rows.map(({ cells }) => cells[0])
  const token = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
  const decoded = (text = ''): unknown => JSON.parse(Buffer.from(text, 'base64url').toString())

  test('pages hold what was there at the first, whatever happens in between', async () => {
    const first = await page('limit=2')
    expect(names(first)).toEqual(['a', 'b'])
    expect(first.metadata).toEqual({
      resourceVersion: expect.stringMatching(/^\d+$/),
      continue: expect.stringMatching(/^[\w-]+$/),
      remainingItemCount: 3
    })
    await call(subject(), 'DELETE', `${collection}/c`)
    await plant(subject(), namespace, 'cc')
    const second = await page(`limit=2&continue=${first.metadata.continue}`)
    expect(names(second)).toEqual(['c', 'd'])
    expect(second.metadata).toMatchObject({ resourceVersion: first.metadata.resourceVersion, remainingItemCount: 1 })
    const third = await page(`limit=2&continue=${second.metadata.continue}`)
    expect(names(third)).toEqual(['e'])
    expect(third.metadata).toEqual({ resourceVersion: first.metadata.resourceVersion })
    expect(names(await page('limit=0'))).toEqual(['a', 'b', 'cc', 'd', 'e'])
  })

  test('a token is JSON in base64 for URLs, without padding', async () => {
    const { metadata } = await page('limit=2')
    expect(decoded(metadata.continue)).toEqual({
      v: 'meta.k8s.io/v1',
      rv: Number(metadata.resourceVersion),
      start: expect.stringMatching(/^\/?b\0$/)
    })
  })

  test('pages go over namespaces', async () => {
    await plant(subject(), 'paging-conforms-too', 'z')
    const seen: string[] = []
    let continued = ''
    do {
      const { body } = await call(subject(), 'GET', `/api/v1/secrets?limit=2&continue=${continued}`, {
        accept: accept.metadataList
      })
      const { metadata, items } = body as {
        readonly metadata: { readonly continue?: string }
        readonly items: readonly { readonly metadata: { readonly namespace: string; readonly name: string } }[]
      }
      seen.push(...items.map(({ metadata: { namespace: where, name } }) => `${where}/${name}`))
      continued = metadata.continue ?? ''
    } while (continued !== '')
    expect(seen.filter((name) => name.startsWith('paging-'))).toEqual(
      ['paging-conforms-too/z', ...['a', 'b', 'cc', 'd', 'e'].map((name) => `${namespace}/${name}`)].sort()
    )
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('the remaining items are not counted under a selector', async () => {
    const { body } = await call(subject(), 'GET', `${collection}?limit=1&fieldSelector=type%3DOpaque`)
    const { metadata } = body as Page
    expect(metadata.continue).toBeDefined()
    expect(metadata).not.toHaveProperty('remainingItemCount')
  })

  const invalid = 'invalid continue token: continue key is not valid: '
  test.each([
    ['limit=few', 'strconv.ParseInt: parsing "few": invalid syntax'],
    ['continue=%21', `${invalid}illegal base64 data at input byte 0`],
    [
      `continue=${token({ v: 'v9', rv: 1, start: 'a' })}`,
      `${invalid}server does not recognize this encoded version v9`
    ],
    [
      `continue=${token({ v: 'meta.k8s.io/v1', rv: 0, start: 'a' })}`,
      `${invalid}incorrect encoded start resourceVersion (version meta.k8s.io/v1)`
    ],
    [
      `continue=${token({ v: 'meta.k8s.io/v1', rv: 1, start: '' })}`,
      `${invalid}encoded start key empty (version meta.k8s.io/v1)`
    ],
    [`continue=${token({ v: 'meta.k8s.io/v1', rv: 1, start: '../x' })}`, `${invalid}../x`],
    [
      `resourceVersion=5&continue=${token({ v: 'meta.k8s.io/v1', rv: -1, start: 'a' })}`,
      'specifying resource version is not allowed when using continue'
    ]
  ])('%s is a bad request', async (query, message) => {
    expect(await list(query)).toEqual({ status: 400, body: failure(400, 'BadRequest', message) })
  })

  // The real API server waits three seconds for the future to come.
  test('a list of the future is asked to wait', async () => {
    for (const query of [
      'resourceVersion=999999999',
      `continue=${token({ v: 'meta.k8s.io/v1', rv: 999999999, start: 'a' })}`
    ]) {
      const answer = await list(query)
      expect(answer).toEqual({
        status: 504,
        body: failure(
          504,
          'Timeout',
          expect.stringMatching(/^Timeout: Too large resource version: 999999999, current: \d+$/),
          {
            causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
            retryAfterSeconds: 1
          }
        )
      })
    }
  }, 30_000)

  test('a token from before etcd forgot is expired, and the answer brings another that goes on at the present', async () => {
    const first = await page('limit=2')
    await call(subject(), 'DELETE', `${collection}/d`)
    await plant(subject(), namespace, 'dd')
    // Only an API server that has started since can't have the old state in memory.
    await subject().compact()
    await subject().controlPlane.roll([{ kind: 'identity' }])
    const expired = await list(`limit=2&continue=${first.metadata.continue}`)
    expect(expired).toEqual({
      status: 410,
      body: {
        ...failure(
          410,
          'Expired',
          'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue ' +
            'parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided ' +
            'token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was ' +
            'returned and now may show up in the list.'
        ),
        metadata: { continue: expect.any(String) }
      }
    })
    const again = (expired.body as Page).metadata.continue
    expect(decoded(again)).toEqual({ v: 'meta.k8s.io/v1', rv: -1, start: 'b\0' })
    const second = await page(`limit=2&continue=${again}`)
    expect(names(second)).toEqual(['cc', 'dd'])
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(revisionOf({ status: 200, body: first }))
    expect(names(await page(`limit=2&continue=${second.metadata.continue}`))).toEqual(['e'])
    const exact = await list(`resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact`)
    expect(exact).toEqual({
      status: 410,
      body: failure(410, 'Expired', 'The resourceVersion for the provided list is too old.')
    })
  }, 60_000)
}
