// actions/upload-artifact as far as the reusable workflows use it: one file or one folder under a name that is there once.
import { appendFileSync, cpSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

const variable = (name: string): string => process.env[name] ?? ''
const input = (name: string): string => variable(`INPUT_${name.toUpperCase()}`).trim()

function fail(message: string): never {
  console.log(`::error::${message}`)
  process.exit(1)
}

const name = input('name')
if (name === '' || /["/:<>|*?\r\n\\]/.test(name)) fail(`The artifact name is not valid: ${name}.`)
const source = resolve(variable('GITHUB_WORKSPACE'), input('path'))
if (input('path') === '' || /[*?[\n]/.test(input('path'))) throw new Error('This stand-in takes one file or folder.')
if (!existsSync(source)) {
  const message = `No files were found with the provided path: ${input('path')}. No artifacts will be uploaded.`
  if (input('if-no-files-found') === 'error') fail(message)
  console.log(`::warning::${message}`)
  process.exit(0)
}

const artifact = join(variable('STAND_INS_HOME'), 'artifacts', variable('GITHUB_RUN_ID'), name)
if (existsSync(artifact)) {
  if (input('overwrite') !== 'true')
    fail('(409) Conflict: an artifact with this name already exists on the workflow run')
  rmSync(artifact, { recursive: true })
}
mkdirSync(artifact, { recursive: true })
cpSync(source, statSync(source).isDirectory() ? artifact : join(artifact, basename(source)), { recursive: true })
appendFileSync(variable('GITHUB_OUTPUT'), 'artifact-id=1\n')
console.log(`Artifact ${name} has been successfully uploaded!`)
