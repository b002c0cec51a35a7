import { load, YAMLException } from 'js-yaml'
import { ActionError } from './errors.ts'
import { parseAge } from './model/age.ts'
import { vaultIdFor } from './model/attached-vault.ts'
import { clusterId } from './model/cluster.ts'
import type { DesiredCluster } from './model/desired-cluster.ts'
import { hasVersion, parseKey, vaultSuffixOf, type Key, type KeyProblem } from './model/key-id.ts'
import { isJsonObject, type Json, type JsonObject } from './model/json.ts'
import type { NetworkAccess } from './model/kms-profile.ts'
import { CLUSTER_NAME, GUID, RESOURCE_GROUP, VAULT_ID } from './model/names.ts'

/** Clusters as they are to be: a file in the user's repository. Its schema for editors is docs/desired-state.schema.json. */
export interface DesiredState {
  /** Unique by name, and by cluster. */
  readonly clusters: readonly DesiredCluster[]
}

/** Reads YAML or JSON. Throws ActionError `desired-state-invalid` with everything that is wrong with it, entry by entry. */
export function parseDesiredState(text: string): DesiredState {
  const document = readYaml(text)
  if (!isJsonObject(document)) throw invalid(['It must have one property, `clusters`, with a list of clusters.'])
  const problems = unknownProperties(document, ['clusters'])
  const entries = document['clusters']
  if (!Array.isArray(entries) || entries.length === 0) {
    throw invalid([...problems, '`clusters` must be a list of at least one cluster.'])
  }
  const clusters = entries.flatMap((entry: Json, i) => {
    const reader = new EntryReader(entry, i)
    const cluster = reader.read()
    problems.push(...reader.problems)
    return cluster === undefined ? [] : [cluster]
  })
  problems.push(
    ...repeated(clusters, ({ name }) => name, 'name'),
    ...repeated(clusters, ({ cluster }) => clusterId(cluster), 'cluster')
  )
  if (problems.length > 0) throw invalid(problems)
  return { clusters }
}

/** The entry of this name. Throws ActionError `desired-state-invalid`. */
export function desiredCluster({ clusters }: DesiredState, name: string): DesiredCluster {
  const found = clusters.find((cluster) => cluster.name === name)
  if (found !== undefined) return found
  throw invalid([`It has no cluster “${name}”; there are ${clusters.map((cluster) => cluster.name).join(', ')}.`])
}

function readYaml(text: string): unknown {
  try {
    return load(text)
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    throw invalid([`It is not YAML: ${error.message}`])
  }
}

/** So many problems are told of at once. */
const MOST_PROBLEMS = 20

function invalid(problems: readonly string[]): ActionError {
  const shown = problems.slice(0, MOST_PROBLEMS)
  const more = problems.length - shown.length
  if (more > 0) shown.push(`… and ${String(more)} more.`)
  const what = shown.length === 1 ? 'The desired state can’t be used.' : 'The desired state can’t be used:'
  return new ActionError('desired-state-invalid', [what, ...shown].join(shown.length === 1 ? ' ' : '\n'))
}

const PROPERTIES = [
  'name',
  'subscription-id',
  'resource-group',
  'cluster-name',
  'enabled',
  'key',
  'key-vault-network-access',
  'key-vault-resource-id',
  'max-key-age',
  'environment'
] as const
type Property = (typeof PROPERTIES)[number]

/** Short enough for the name of an artifact or a job beside other words. */
const SHORT_NAME = /^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$/

const KEY_FORM = '`https://<vault>.vault.azure.net/keys/<name>`, with or without `/<version>`'
const KEY_PROBLEM: Readonly<Record<KeyProblem, string>> = {
  malformed: `is not a Key Vault key; write ${KEY_FORM}`,
  'other-cloud': `is not a Key Vault key; write ${KEY_FORM}`,
  'not-a-key': `is a secret or a certificate; write a key, ${KEY_FORM}`,
  'managed-hsm': 'is in a Managed HSM, which KMS etcd encryption on AKS does not take; use a key of a Key Vault'
}

/** Reads one entry, and collects what is wrong with it. */
class EntryReader {
  readonly problems: string[] = []
  readonly #entry: JsonObject
  readonly #label: string

  constructor(entry: Json, index: number) {
    this.#entry = isJsonObject(entry) ? entry : {}
    const name = this.#entry['name']
    this.#label = `clusters[${String(index)}]${typeof name === 'string' ? ` (${name})` : ''}`
    if (!isJsonObject(entry)) this.problems.push(`${this.#label} must be a cluster with its properties.`)
  }

  /** Undefined when there are problems. */
  read(): DesiredCluster | undefined {
    if (this.problems.length > 0) return undefined
    this.problems.push(...unknownProperties(this.#entry, PROPERTIES, this.#label))
    const enabled = this.#boolean('enabled', true)
    const key = this.#key(enabled)
    const networkAccess = this.#networkAccess()
    const vaultResourceId = this.#text('key-vault-resource-id', VAULT_ID, 'the ARM id of a key vault')
    if (enabled && networkAccess === 'Private' && vaultResourceId === undefined) {
      this.#problem('key-vault-resource-id', 'is missing; `key-vault-network-access: Private` needs the vault’s ARM id')
    }
    if (key !== undefined && vaultResourceId !== undefined && vaultIdFor(key, [vaultResourceId]) === undefined) {
      this.#problem('key-vault-resource-id', `is not that of the key’s vault, ${key.vaultName}`)
    }
    const desired: DesiredCluster = {
      name: this.#required('name', SHORT_NAME, 'at most 50 lower-case letters, digits and dashes'),
      cluster: {
        subscriptionId: this.#required('subscription-id', GUID, 'a GUID').toLowerCase(),
        resourceGroup: this.#required('resource-group', RESOURCE_GROUP, 'the name of a resource group'),
        name: this.#required('cluster-name', CLUSTER_NAME, 'the name of an AKS cluster')
      },
      enabled,
      key,
      networkAccess,
      vaultResourceId,
      maxKeyAge: this.#maxKeyAge(key),
      environment: this.#text('environment', /^[^\p{Cc}]{1,255}$/u, 'the name of a GitHub environment')
    }
    return this.problems.length > 0 ? undefined : desired
  }

  #key(required: boolean): Key | undefined {
    const text = this.#text('key')
    if (text === undefined) {
      if (required && this.#entry['key'] === undefined) {
        this.#problem('key', `is missing; write ${KEY_FORM}, or \`enabled: false\``)
      }
      return undefined
    }
    const key = parseKey(text, vaultSuffixOf(text))
    if (typeof key !== 'string') return key
    this.#problem('key', `“${text}” ${KEY_PROBLEM[key]}`)
    return undefined
  }

  #networkAccess(): NetworkAccess {
    return this.#text('key-vault-network-access', /^(Public|Private)$/, '`Public` or `Private`') === 'Private'
      ? 'Private'
      : 'Public'
  }

  #maxKeyAge(key: Key | undefined): number | undefined {
    const age = this.#text('max-key-age', /^[1-9]\d{0,4}[hdw]$/, 'a time such as `90d`, `12w` or `36h`')
    if (age === undefined) return undefined
    if (key !== undefined && hasVersion(key)) {
      this.#problem('max-key-age', 'can’t be kept with a version in `key`; leave out one of the two')
    }
    return parseAge(age)
  }

  #required(property: Property, form: RegExp, expected: string): string {
    if (this.#entry[property] === undefined) this.#problem(property, `is missing; write ${expected}`)
    return this.#text(property, form, expected) ?? ''
  }

  #text(property: Property, form = /^/, expected = 'a text'): string | undefined {
    const value = this.#entry[property]
    if (value === undefined) return undefined
    if (typeof value === 'string' && form.test(value)) return value
    const hint = typeof value === 'number' ? ', in quotes if it looks like a number' : ''
    this.#problem(property, `is ${inWords(value)}; write ${expected}${hint}`)
    return undefined
  }

  #boolean(property: Property, fallback: boolean): boolean {
    const value = this.#entry[property]
    if (typeof value === 'boolean' || value === undefined) return value ?? fallback
    this.#problem(property, `is ${inWords(value)}; write true or false, without quotes`)
    return fallback
  }

  #problem(property: Property, sentence: string): void {
    this.problems.push(`${this.#label}: ${property} ${sentence}.`)
  }
}

function inWords(value: Json): string {
  return typeof value === 'string' ? `“${value}”` : JSON.stringify(value)
}

function unknownProperties(object: JsonObject, known: readonly string[], label = ''): string[] {
  const prefix = label === '' ? '' : `${label}: `
  return Object.keys(object)
    .filter((name) => !known.includes(name))
    .map((name) => `${prefix}${name} is no property; there are ${known.join(', ')}.`)
}

function repeated(
  clusters: readonly DesiredCluster[],
  identify: (cluster: DesiredCluster) => string,
  what: string
): readonly string[] {
  const seen = new Map<string, string>()
  return clusters.flatMap((cluster) => {
    const identity = identify(cluster).toLowerCase()
    const other = seen.get(identity)
    seen.set(identity, cluster.name)
    return other === undefined ? [] : [`${cluster.name} has the same ${what} as ${other}; each must be there once.`]
  })
}
