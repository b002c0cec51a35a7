export const OPERATIONS = ['enable', 'rotate', 'disable', 'migrate-v2'] as const
export type OperationName = (typeof OPERATIONS)[number]
