import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'

const TEXT = readFileSync('package-lock.json', 'utf8')

test('package-lock.json does not say which registry wrote it', () => {
  expect(TEXT).not.toContain('"resolved"')
})

test('package-lock.json has every optional package, or npm ci refuses it: run scripts/complete-lock.ts', () => {
  const { packages } = JSON.parse(TEXT) as {
    readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>
  }
  const missing = Object.entries(packages).flatMap(([path, owner]) =>
    Object.keys(owner.optionalDependencies ?? {}).filter(
      (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages)
    )
  )
  expect(missing).toEqual([])
})
