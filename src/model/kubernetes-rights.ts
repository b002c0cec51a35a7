/** A right in Kubernetes' own words, in all namespaces. */
export interface KubernetesRight {
  readonly verb: 'list' | 'patch'
  readonly resource: 'namespaces' | 'secrets'
}

/** What a proof takes. */
export const RIGHTS_TO_PROVE: readonly KubernetesRight[] = [
  { verb: 'list', resource: 'namespaces' },
  { verb: 'list', resource: 'secrets' },
  { verb: 'patch', resource: 'secrets' }
]
