export const OPERATIONS = ['enable', 'rotate', 'disable', 'migrate-v2', 're-encrypt'] as const
export type OperationName = (typeof OPERATIONS)[number]
