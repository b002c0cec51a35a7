// actions/checkout as far as the reusable workflows use it: one commit of a repository, in place of whatever was in the folder.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

const variable = (name: string): string => process.env[name] ?? ''
const input = (name: string): string => variable(`INPUT_${name.toUpperCase()}`).trim()

const source = join(variable('STAND_INS_HOME'), 'repositories', input('repository'))
const folder = resolve(variable('GITHUB_WORKSPACE'), input('path'))
const ref = input('ref') || variable('GITHUB_SHA')
if (input('persist-credentials') !== 'false') throw new Error('The token would be left in the folder.')

mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true })
const git = (...args: readonly string[]): Buffer =>
  execFileSync('git', ['-C', folder, ...args], { stdio: ['ignore', 'inherit', 'inherit'] })
git('init', '--quiet')
git('fetch', '--quiet', '--depth', '1', `file://${source}`, ref)
git('checkout', '--quiet', '--detach', 'FETCH_HEAD')
console.log(`Checked out ${ref} of ${input('repository')}.`)
