/** Drives the bed with the real SDKs, as the action does: through the proxy, in a process of its own. Prints what it saw. */
import { getIDToken } from '@actions/core'
import { createContainerService } from '@azure/arm-containerservice/api'
import { ClientAssertionCredential } from '@azure/identity'
import { KeyClient } from '@azure/keyvault-keys'

interface Bed {
  readonly tenantId: string
  readonly clientId: string
  readonly authorityHost: string
  readonly resourceManager: string
  readonly resourceManagerScope: string
  readonly assertionAudience: string
  readonly disableInstanceDiscovery: boolean
  readonly subscriptionId: string
  readonly clusterId: string
  readonly vaultUrl: string
  readonly keyId: string
}

const bed = JSON.parse(process.env['BED'] ?? '{}') as Bed

const credential = new ClientAssertionCredential(bed.tenantId, bed.clientId, () => getIDToken(bed.assertionAudience), {
  authorityHost: bed.authorityHost,
  disableInstanceDiscovery: bed.disableInstanceDiscovery,
  retryOptions: { maxRetries: 0 }
})

const client = createContainerService(credential, bed.subscriptionId, {
  endpoint: bed.resourceManager,
  credentials: { scopes: [bed.resourceManagerScope] }
})
const cluster = client.pathUnchecked(bed.clusterId)
const queryParameters = { 'api-version': '2025-10-01' }

const read = await cluster.get({ queryParameters })
const body = read.body as { properties: Record<string, unknown>; eTag: string }
const securityProfile = {
  azureKeyVaultKms: { enabled: true, keyId: bed.keyId, keyVaultNetworkAccess: 'Public', keyVaultResourceId: '' }
}
const changed = { ...body, properties: { ...body.properties, securityProfile } }
const put = await cluster.put({ queryParameters, body: changed, headers: { 'If-Match': body.eTag } })
const operation = String(put.headers['azure-asyncoperation'])
const statuses = new Set<string>()
for (;;) {
  const poll = await client.pathUnchecked(operation).get()
  const { status } = poll.body as { status: string }
  statuses.add(status)
  if (status === 'Succeeded' || status === 'Failed') break
  await new Promise((resolve) => setTimeout(resolve, 20))
}

const keys = new KeyClient(bed.vaultUrl, credential)
const versions: string[] = []
for await (const version of keys.listPropertiesOfKeyVersions('kms', {})) versions.push(version.version ?? '')
const rotated = await keys.rotateKey('kms')
const { token } = await credential.getToken('6dae42f8-4368-4678-94ff-3960e28e3630/.default')

console.log(
  JSON.stringify({
    read: read.status,
    put: put.status,
    statuses: [...statuses],
    versions,
    rotated: rotated.id,
    kubernetesToken: token
  })
)
