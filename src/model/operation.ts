export const OPERATIONS = ['enable', 'rotate', 'disable', 'migrate-v2', 're-encrypt', 'reconcile'] as const
export type OperationName = (typeof OPERATIONS)[number]

/** Whether an operation may give the cluster a key, so that vault and permissions are looked at. */
export function mayGiveKey(operation: OperationName): boolean {
  return operation !== 'disable' && operation !== 're-encrypt'
}
