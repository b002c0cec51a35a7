import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { readFileSync, writeFileSync, globSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { pinOwnActions } from '../../scripts/pin-workflows.ts'
import { readPublicName } from '../../scripts/public-name.ts'
import { findActionlint, findZizmor } from './tools.ts'

interface Outcome {
  readonly exitCode: number
  readonly output: string
}

async function execute(program: string, args: readonly string[], cwd = '.'): Promise<Outcome> {
  return await new Promise((resolve) => {
    execFile(program, args, { cwd }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ exitCode, output: stdout + stderr })
    })
  })
}

describe('actionlint', () => {
  let copy: string
  let actionlint: string

  // It knows neither `uses: $/…` (rhysd/actionlint#711) nor the metadata of actions that it would have to fetch, so it sees the
  // workflows pinned, with the examples beside them.
  beforeAll(async () => {
    actionlint = await findActionlint()
    copy = await mkdtemp(join(tmpdir(), 'actionlint-'))
    await cp('.github', join(copy, '.github'), { recursive: true })
    await cp('workflows', join(copy, '.github/workflows'), { recursive: true })
    await cp('action.yml', join(copy, 'action.yml'))
    for (const path of globSync(join(copy, '.github/workflows/*.yml'))) {
      writeFileSync(path, pinOwnActions(readFileSync(path, 'utf8'), readPublicName(), '0'.repeat(40), 'v0.0.0'))
    }
    await execute('git', ['init', '--quiet'], copy)
  })
  afterAll(async () => {
    await rm(copy, { recursive: true })
  })

  test('has nothing against any workflow', async () => {
    expect(await execute(actionlint, ['-no-color', '-shellcheck='], copy)).toEqual({ exitCode: 0, output: '' })
  })

  test('finds what is wrong', async () => {
    const path = '.github/workflows/wrong.yml'
    await writeFile(
      join(copy, path),
      'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.x }}\n'
    )
    const { exitCode, output } = await execute(actionlint, ['-no-color', '-shellcheck=', path], copy)
    expect({ exitCode, output }).toEqual({
      exitCode: 1,
      output: expect.stringContaining('undefined variable "nothing"')
    })
  })
})

describe('zizmor', () => {
  const options = [
    '--offline',
    '--persona',
    'pedantic',
    '--strict-collection',
    '--no-progress',
    '--quiet',
    '--format',
    'plain'
  ]

  test('has nothing against any workflow, action or Dependabot’s configuration', async () => {
    const { exitCode, output } = await execute(await findZizmor(), [...options, '.', 'workflows'])
    expect({ exitCode, output: output.trim() }).toEqual({
      exitCode: 0,
      output: expect.stringContaining('No findings to report.')
    })
  })

  test('finds what is wrong', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zizmor-'))
    try {
      const workflow = readFileSync('workflows/scheduled-rotation.yml', 'utf8').replace('permissions: {}', '')
      await writeFile(join(folder, 'wrong.yml'), workflow)
      const { exitCode, output } = await execute(await findZizmor(), [...options, join(folder, 'wrong.yml')])
      expect(exitCode).toBeGreaterThan(10)
      expect(output).toContain('unpinned-uses')
      expect(output).toContain('excessive-permissions')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
