export const OPERATIONS = ['enable', 'rotate', 'disable', 'migrate-v2', 're-encrypt', 'reconcile'] as const
export type OperationName = (typeof OPERATIONS)[number]
