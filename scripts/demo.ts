import { mkdir, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { startEmbeddedBed, startRealBed, type Bed, type BedOptions, type Inputs } from '../testbed/bed.ts'
import { tallyStored } from '../testbed/etcd/tally.ts'
import { compareContents, demoSecrets } from '../testbed/seed.ts'
import { renderPage } from './render-page.ts'

const USAGE = `npm run demo -- [--operation create|enable|rotate|disable|change-vault-mode|migrate-v2] [--dry-run] [--secrets N] [--namespaces N] [--real]`

/** What the cluster is like before each operation. */
const START: Readonly<Record<string, Pick<BedOptions, 'kms' | 'cluster' | 'unborn'>>> = {
  create: { unborn: true },
  enable: { kms: false },
  rotate: { kms: true },
  disable: { kms: true },
  'change-vault-mode': { kms: true },
  'migrate-v2': { kms: true, cluster: { kubernetesVersion: '1.25.6' } }
}

const { values } = parseArgs({
  options: {
    operation: { type: 'string', default: 'rotate' },
    'dry-run': { type: 'boolean', default: false },
    secrets: { type: 'string', default: '2000' },
    namespaces: { type: 'string', default: '20' },
    real: { type: 'boolean', default: false }
  }
})
const start = START[values.operation]
const [secrets, namespaces] = [Number(values.secrets), Number(values.namespaces)]
if (start === undefined || !Number.isInteger(secrets) || !Number.isInteger(namespaces)) {
  console.error(USAGE)
  process.exit(2)
}

const seeds = demoSecrets({ secrets, namespaces })
say(
  `Starting AKS on this machine: ${values.real ? 'real etcd and two kube-apiservers' : 'the embedded API server'}, Entra, Resource Manager, Key Vault; ${String(seeds.length)} Secrets in ${String(namespaces)} namespaces.`
)
const bed = values.real
  ? await startRealBed({ ...start, apiServers: 2, secrets: seeds })
  : await startEmbeddedBed({ ...start, secrets: seeds })
try {
  say(`Running the built action, dist/index.js, with operation: ${values.operation}`)
  const inputs = { ...inputsOf(values.operation, bed), 'dry-run': String(values['dry-run']) }
  const result = await bed.run(values.operation, inputs, { onLine: showLine })

  say('The job summary:')
  console.log(result.summary)
  await mkdir('out/demo', { recursive: true })
  await writeFile('out/demo/summary.md', result.summary)
  await writeFile('out/demo/summary.html', renderPage(result.summary, `${values.operation} · demo`))

  say('What lies in etcd now:')
  for (const [under, count] of Object.entries(tallyStored(await bed.controlPlane.storedSecrets(), bed.keyIds()))) {
    console.log(`  ${String(count).padStart(6)} Secrets under ${under}`)
  }
  const differences = await compareContents(bed.controlPlane, seeds)
  console.log(`  ${String(differences.length).padStart(6)} Secrets with other contents than before`)
  say(
    `${values.operation} took ${(result.durationMs / 1000).toFixed(1)} s. The summary as GitHub shows it: out/demo/summary.html`
  )
  process.exitCode = result.exitCode === 0 && differences.length === 0 ? 0 : 1
} finally {
  await bed.stop()
}

/** What an operation needs beside the name of the cluster. */
function inputsOf(operation: string, { azure, vault, identity, keyIds }: Bed): Inputs {
  const [keyId = ''] = keyIds()
  switch (operation) {
    case 'create': {
      const aadProfile = { managed: true, enableAzureRBAC: true, tenantID: azure.tenantId }
      const agentPoolProfiles = [{ name: 'system', mode: 'System', count: 3 }]
      const definition = { location: azure.location, properties: { aadProfile, agentPoolProfiles } }
      return {
        'key-id': keyId,
        'identity-resource-id': identity?.id ?? '',
        'cluster-definition': JSON.stringify(definition)
      }
    }
    case 'enable':
      return { 'key-id': keyId }
    case 'change-vault-mode':
      azure.permissions.grant(azure.application.objectId, 'Key Vault Contributor', vault.id)
      return { 'key-vault-network-access': 'Private', 'key-vault-resource-id': vault.id }
    default:
      return {}
  }
}

function say(line: string): void {
  console.log(`\n\u001b[1m${line}\u001b[0m`)
}

/** A line of the action's log as GitHub's log shows it: groups as titles, no workflow commands. */
function showLine(line: string): void {
  const title = /^::group::(.*)/.exec(line)?.[1]
  if (title !== undefined) console.log(`  ▸ ${title}`)
  else if (!line.startsWith('::')) console.log(`    ${line}`)
}
