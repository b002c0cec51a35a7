/** Names this action in Azure's request logs, in front of the SDK's own name. */
export const USER_AGENT = 'aks-kms-etcd-encryption'
