import { StatusError } from './status.ts'

/** In which form an answer is wanted. */
export interface Form {
  readonly as: '' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList'
  readonly version: string
}

interface Clause {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
  readonly quality: number
}

const available = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']
const plain: Form = { as: '', version: '' }
const known = new Map<string, Form>()

/** The first acceptable form, by quality. YAML and Protocol Buffers, which kube-apiserver has too, are not served. */
export function negotiate(accept: string): Form {
  const seen = known.get(accept)
  if (seen !== undefined) return seen
  const clauses = parse(accept)
  for (const clause of clauses) {
    const form = formOf(clause)
    if (form === undefined) continue
    known.set(accept, form)
    return form
  }
  // Two layers refuse: the router by the bare types, the handler by the parameters.
  throw clauses.some(({ type }) => type === '*/*' || available.includes(type))
    ? new StatusError(406, 'NotAcceptable', `only the following media types are accepted: ${available.join(', ')}`)
    : new StatusError(
        406,
        'NotAcceptable',
        `406: Not Acceptable\n\nAvailable representations: ${available.join(', ')}`,
        {}
      )
}

function formOf({ type, parameters }: Clause): Form | undefined {
  if (type !== 'application/json' && type !== '*/*') return undefined
  const as = parameters.get('as') ?? ''
  const version = parameters.get('v') ?? ''
  const group = parameters.get('g') ?? ''
  if (as === '' && version === '' && group === '') return plain
  if (group !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return undefined
  if (as !== 'Table' && as !== 'PartialObjectMetadata' && as !== 'PartialObjectMetadataList') return undefined
  return { as, version }
}

function parse(accept: string): readonly Clause[] {
  if (accept.trim() === '') return [{ type: '*/*', parameters: new Map(), quality: 1 }]
  return accept
    .split(',')
    .map((text) => {
      const [type = '', ...rest] = text.split(';').map((part) => part.trim())
      const parameters = new Map(rest.map((part) => [part.split('=')[0] ?? '', part.split('=')[1] ?? '']))
      return { type, parameters, quality: Number(parameters.get('q') ?? 1) }
    })
    .sort((a, b) => b.quality - a.quality)
}
