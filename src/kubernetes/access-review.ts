import { isJsonObject } from '../model/json.ts'
import type { KubernetesRight } from '../model/kubernetes-rights.ts'
import { jsonOf, type Api } from './api.ts'
import { JSON_BODY } from './own-objects.ts'
import { TransportError } from './transport.ts'

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'

/**
 * Those of the rights that the caller lacks, by what the API server's authorizers say. Where one of them can't be asked, or none
 * can say, nothing is taken to lack: who needs the right finds out. Rejects only as `Api.attempt` does.
 * Source: kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1
 */
export async function missingOf(
  rights: readonly KubernetesRight[],
  api: Pick<Api, 'attempt'>
): Promise<readonly KubernetesRight[]> {
  const lacks = await Promise.all(rights.map((right) => isMissing(right, api)))
  return rights.filter((_, i) => lacks[i] === true)
}

async function isMissing({ verb, resource }: KubernetesRight, api: Pick<Api, 'attempt'>): Promise<boolean> {
  const body = JSON.stringify({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb, group: '', resource } }
  })
  const answer = await api.attempt({ method: 'POST', path: REVIEWS, headers: JSON_BODY, body })
  if (answer instanceof TransportError || answer.status !== 201) return false
  const status = jsonOf(answer)?.['status']
  if (!isJsonObject(status) || status['allowed'] !== false) return false
  // Set where an authorizer failed: another time it may permit.
  const { evaluationError = '' } = status
  return evaluationError === ''
}
