export const OPERATIONS = [
  'prepare',
  'create',
  'enable',
  'rotate',
  'disable',
  'change-vault-mode',
  'migrate-v2',
  're-encrypt',
  'reconcile',
  'status'
] as const
export type OperationName = (typeof OPERATIONS)[number]

/** Whether an operation may give the cluster a key, so that vault and permissions are looked at. */
export function mayGiveKey(operation: OperationName): boolean {
  return operation !== 'disable' && operation !== 're-encrypt' && operation !== 'status'
}

const CHANGES_KMS: Readonly<Record<OperationName, boolean>> = {
  prepare: false,
  create: false,
  enable: true,
  rotate: true,
  disable: true,
  'change-vault-mode': true,
  'migrate-v2': true,
  're-encrypt': false,
  reconcile: true,
  status: false
}

/** Whether the operation may set the KMS profile of a cluster, and so has a goal there to reach. */
export function changesKms(operation: OperationName): boolean {
  return CHANGES_KMS[operation]
}
