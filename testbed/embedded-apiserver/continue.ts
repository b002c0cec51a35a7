import { badRequest } from './status.ts'

/** Continue tokens: base64 of JSON, as kube-apiserver makes them. Clients may not look inside; tests do. */

export interface ContinueToken {
  /** The revision of the list; -1 for the present, which makes the list inconsistent. */
  readonly revision: number
  /** Where to go on, under the list's prefix. */
  readonly start: string
}

const version = 'meta.k8s.io/v1'

/** After the key, so that the list goes on with the one that follows it. `slash` as the watch cache writes it. */
export function encodeContinue(key: string, prefix: string, revision: number, slash: '/' | ''): string {
  const start = `${slash}${key.slice(prefix.length)}\u0000`
  return Buffer.from(JSON.stringify({ v: version, rv: revision, start })).toString('base64url')
}

export function decodeContinue(token: string): ContinueToken {
  const problem = (text: string): Error => badRequest(`invalid continue token: continue key is not valid: ${text}`)
  const illegal = /[^A-Za-z0-9_-]/.exec(token)
  if (illegal !== null) throw problem(`illegal base64 data at input byte ${illegal.index}`)
  let content: { v?: unknown; rv?: unknown; start?: unknown }
  try {
    content = JSON.parse(Buffer.from(token, 'base64url').toString()) as typeof content
  } catch (error) {
    throw problem(error instanceof Error ? error.message : String(error))
  }
  if (content.v !== version) throw problem(`server does not recognize this encoded version ${String(content.v)}`)
  if (typeof content.rv !== 'number' || content.rv === 0) {
    throw problem(`incorrect encoded start resourceVersion (version ${version})`)
  }
  if (typeof content.start !== 'string' || content.start === '') {
    throw problem(`encoded start key empty (version ${version})`)
  }
  const start = content.start.replace(/^\//, '')
  if (start.split('/').some((part) => part === '..' || part === '.')) throw problem(content.start)
  return { revision: content.rv, start }
}
