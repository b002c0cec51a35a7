import { ActionError } from '../errors.ts'

/** Name of both objects that this action keeps in a cluster: the record's ConfigMap and the lock's Lease. */
export const OBJECT_NAME = 'kms-etcd-encryption'

export const LABELS = { 'app.kubernetes.io/managed-by': 'aks-kms-etcd-encryption' }

export const JSON_BODY = { accept: 'application/json', 'content-type': 'application/json' }

export function namespaceMissing(namespace: string): ActionError {
  return new ActionError('input-invalid', `record-namespace: the cluster has no namespace ${namespace}.`)
}
