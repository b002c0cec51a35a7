import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { RunReport } from '../../src/model/report.ts'
import { reportToJson } from '../../src/report/json.ts'
import {
  failedOnSecrets,
  plannedRotation,
  report,
  retired,
  rotated,
  rotatedByPassesAlone,
  SAMPLES,
  snapshot
} from '../fixtures/reports.ts'
import { mixedFleet, STATUS_SAMPLES, statusReport } from '../fixtures/statuses.ts'

const ALL_SAMPLES = Object.entries({ ...SAMPLES, ...STATUS_SAMPLES })

const SCHEMA = JSON.parse(readFileSync(new URL('../../docs/report.schema.json', import.meta.url), 'utf8')) as object
const ajv = new Ajv2020({ strict: true, allErrors: true })
addFormats.default(ajv)
const validate = ajv.compile(SCHEMA)

function errorsOf(document: unknown): readonly string[] {
  return validate(document)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`)
}

function parsed(source: RunReport): Record<string, unknown> {
  return JSON.parse(reportToJson(source)) as Record<string, unknown>
}

/** Every object of a document with its path, except inside the security profiles, whose shape is Azure's, and in a plan's steps. */
function objectsIn(
  value: unknown,
  path = ''
): readonly { readonly path: string; readonly object: Record<string, unknown> }[] {
  if (typeof value !== 'object' || value === null || /securityProfile$|\/basis\/steps$/.test(path)) return []
  const inner = Object.entries(value).flatMap(([name, member]) => objectsIn(member, `${path}/${name}`))
  return Array.isArray(value) ? inner : [{ path, object: value as Record<string, unknown> }, ...inner]
}

test.each(ALL_SAMPLES)('%s is valid', (_, sample) => {
  expect(errorsOf(parsed(sample()))).toEqual([])
})

test('a private vault is valid', () => {
  const kms = {
    enabled: true,
    keyId: 'https://kv.vault.azure.net/keys/etcd/1',
    networkAccess: 'Private',
    vaultResourceId: '/subscriptions/s'
  } as const
  expect(errorsOf(parsed(report({ before: snapshot(kms) })))).toEqual([])
})

/** One of each kind: the entries of a list are alike, but for what they leave out. */
function kindsOf(objects: ReturnType<typeof objectsIn>): ReturnType<typeof objectsIn> {
  const kinds = objects.map((entry) => {
    const kind = `${entry.path.replace(/\d+/g, '*')} ${Object.keys(entry.object).join(' ')}`
    return [kind, entry] as const
  })
  return [...new Map(kinds).values()]
}

/** Paths of what may be left out. */
const OPTIONAL = [
  /^\/(run|error|before|after|plan|estimate|approval|name|rotationDueAt|rotationOverdueSince|clusters|dueOnly)$/,
  /\/keyVersion(\/expiresAt)?$/,
  /\/basis\/(cluster|keyId|networkAccess|kubernetesMinor)$/,
  /\/estimate\/(secrets|maxMs)$/,
  /\/evidence\/(reason|live)$/,
  /\/keys\/\d+\/last(Status|Read|Write)At$/,
  /^\/clusters\/\d+\/(networkAccess|keyId|key|dueAt|record)$/,
  /^\/clusters\/\d+\/(record\/\w+|key\/(expiresAt|newerVersions))$/
]

test.each([
  ['a failed run', failedOnSecrets(1)],
  ['a rotation', rotated()],
  ['a rotation by passes alone', rotatedByPassesAlone()],
  ['a dry run', plannedRotation()],
  ['a status', statusReport(mixedFleet())],
  ['a rotation that was overdue', retired()]
])('in %s, one property too many or too few fails in every object', (_, source) => {
  for (const { path } of kindsOf(objectsIn(parsed(source)))) {
    const document = parsed(source)
    const target = objectsIn(document).find((entry) => entry.path === path)?.object ?? {}
    target['extra'] = 1
    expect({ path, errors: errorsOf(document).length > 0 }).toEqual({ path, errors: true })
    delete target['extra']
    for (const name of Object.keys(target)) {
      const { [name]: value } = target
      Reflect.deleteProperty(target, name)
      const optional = OPTIONAL.some((pattern) => pattern.test(`${path}/${name}`))
      expect({ path, name, valid: errorsOf(document).length === 0 }).toEqual({ path, name, valid: optional })
      target[name] = value
    }
  }
})

test('every property is described', () => {
  const undescribed = objectsIn(SCHEMA)
    .filter(({ path }) => /\/properties\/[^/]+$/.test(path) && !path.includes('/kms/oneOf/'))
    .filter(({ object }) => !('description' in object) && !('$ref' in object))
  expect(undescribed.map(({ path }) => path)).toEqual([])
})

test.each(ALL_SAMPLES)('%s loses nothing', (_, sample) => {
  expect(parsed(sample())).toEqual(JSON.parse(JSON.stringify(sample())))
})

test('the order of properties does not depend on how the report was built', () => {
  const source = rotated()
  const reversed = Object.fromEntries(Object.entries(source).reverse()) as unknown as RunReport
  expect(reportToJson(reversed)).toBe(reportToJson(source))
})

test('only what the schema names leaves the run', () => {
  const failure = {
    kind: 'failed',
    namespace: 'n',
    name: 's',
    permanence: 'permanent',
    status: 403,
    reason: 'no'
  } as const
  const source = failedOnSecrets(1)
  const proofs = source.proofs.map((proof) => ({ ...proof, failures: [failure] }))
  expect(errorsOf(parsed({ ...source, proofs, ...{ token: 'x' } }))).toEqual([])
})
