// actions/download-artifact as far as the reusable workflows use it: by name, or by pattern, where each artifact has a folder of
// its own unless it is the only one. Source: actions/download-artifact, src/download-artifact.ts
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join, matchesGlob, resolve } from 'node:path'

const variable = (name: string): string => process.env[name] ?? ''
const input = (name: string): string => variable(`INPUT_${name.toUpperCase()}`).trim()

const home = join(variable('STAND_INS_HOME'), 'artifacts', variable('GITHUB_RUN_ID'))
const present = existsSync(home) ? readdirSync(home) : []
const wanted = present.filter((name) =>
  input('name') === '' ? input('pattern') === '' || matchesGlob(name, input('pattern')) : name === input('name')
)
if (input('name') !== '' && wanted.length === 0) {
  console.log(`::error::Unable to download artifact(s): Artifact not found for name: ${input('name')}`)
  process.exit(1)
}
const path = resolve(variable('GITHUB_WORKSPACE'), input('path'))
for (const name of wanted) {
  const flat = input('merge-multiple') === 'true' || wanted.length === 1
  const folder = flat ? path : join(path, name)
  mkdirSync(folder, { recursive: true })
  cpSync(join(home, name), folder, { recursive: true })
}
appendFileSync(variable('GITHUB_OUTPUT'), `download-path=${path}\n`)
console.log(`Total of ${wanted.length} artifact(s) downloaded`)
