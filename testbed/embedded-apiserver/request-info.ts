import { fieldsOf, stringOf, type Fields } from './objects.ts'
import { configMaps } from './resources/config-maps.ts'
import { leases } from './resources/leases.ts'
import { namespaces } from './resources/namespaces.ts'
import type { Resource } from './resources/resource.ts'
import { secrets } from './resources/secrets.ts'

/** What a request is about, as authorization, admission and tests see it. */
export interface RequestInfo {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** `get`, `list`, `create`, `update`, `patch`, `delete`, `deletecollection`; the method in lower case outside of resources. */
  readonly verb: string
  readonly group: string
  /** The plural in the path, known or not; empty for other paths. */
  readonly plural: string
  readonly namespace: string
  readonly name: string
  readonly subresource: string
}

const resources: readonly Resource[] = [namespaces, secrets, configMaps, leases]

export function resourceOf(info: RequestInfo): Resource | undefined {
  return resources.find(({ group, plural }) => group === info.group && plural === info.plural)
}

/** The groups and versions that exist at all: what lies elsewhere under `/apis` is no API. */
const roots = ['/api/v1/', '/apis/coordination.k8s.io/v1/', '/apis/authorization.k8s.io/v1/']

export function parseRequest(method: string, url: string): RequestInfo {
  const [path = '/', search = ''] = splitOnce(url, '?')
  const query = new URLSearchParams(search)
  const root = roots.find((candidate) => path.startsWith(candidate))
  const about =
    root === undefined ? { plural: '', namespace: '', name: '', subresource: '' } : place(path.slice(root.length))
  return {
    method,
    path,
    query,
    verb: about.plural === '' ? method.toLowerCase() : verbOf(method, about.name !== ''),
    group: root === undefined || root.startsWith('/api/') ? '' : (root.split('/')[2] ?? ''),
    ...about
  }
}

/** The request that the `spec` of an access review asks about. */
export function infoOfAttributes(spec: Fields): RequestInfo {
  const { resourceAttributes, nonResourceAttributes } = spec
  const about = fieldsOf(resourceAttributes ?? nonResourceAttributes)
  const text = (name: string): string => stringOf(about[name]) ?? ''
  const verb = text('verb')
  const [group, plural, namespace, name] = [text('group'), text('resource'), text('namespace'), text('name')]
  const within = [namespace === '' || plural === 'namespaces' ? '' : `/namespaces/${namespace}`, `/${plural}`]
  const root = group === '' ? '/api/v1' : `/apis/${group}/v1`
  return {
    method: '',
    path:
      nonResourceAttributes === undefined ? `${root}${within.join('')}${name === '' ? '' : `/${name}`}` : text('path'),
    query: new URLSearchParams(),
    verb,
    group,
    plural,
    namespace,
    name,
    subresource: text('subresource')
  }
}

function place(path: string): Pick<RequestInfo, 'plural' | 'namespace' | 'name' | 'subresource'> {
  const [first = '', second = '', third = '', ...rest] = path.split('/').map(decodeURIComponent)
  if (first === 'namespaces' && third !== '') {
    const [name = '', ...subresource] = rest
    return { plural: third, namespace: second, name, subresource: subresource.join('/') }
  }
  // As in kube-apiserver, a namespace lies within itself.
  const namespace = first === 'namespaces' ? second : ''
  return {
    plural: first,
    namespace,
    name: second,
    subresource: [third, ...rest].filter((part) => part !== '').join('/')
  }
}

function verbOf(method: string, named: boolean): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return named ? 'get' : 'list'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'DELETE':
      return named ? 'delete' : 'deletecollection'
    default:
      return method.toLowerCase()
  }
}

function splitOnce(text: string, separator: string): readonly string[] {
  const index = text.indexOf(separator)
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + 1)]
}
