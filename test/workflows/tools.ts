import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildOnce, runTool } from '../../testbed/build-cache.ts'

/** Where act, actionlint and zizmor are pinned. */
const PINS = join(import.meta.dirname, 'tools')

/** Path of nektos/act, which runs workflows. */
export async function findAct(): Promise<string> {
  return await goTool('github.com/nektos/act')
}

/** Path of rhysd/actionlint. */
export async function findActionlint(): Promise<string> {
  return await goTool('github.com/rhysd/actionlint/cmd/actionlint')
}

/** Path of zizmorcore/zizmor. */
export async function findZizmor(): Promise<string> {
  const requirements = join(PINS, 'requirements.txt')
  const folder = await buildOnce('zizmor', [await readFile(requirements, 'utf8')], async (target) => {
    const options = ['--quiet', '--disable-pip-version-check', '--require-hashes', '--only-binary', ':all:']
    await runTool('python3', ['-m', 'pip', 'install', ...options, '--target', target, '--requirement', requirements], {
      whyNeeded: 'zizmor is installed with its pip.'
    })
  })
  return join(folder, 'bin', 'zizmor')
}

async function goTool(path: string): Promise<string> {
  const sources = await Promise.all(['go.mod', 'go.sum'].map((file) => readFile(join(PINS, file), 'utf8')))
  const folder = await buildOnce(path.slice(path.lastIndexOf('/') + 1), [sources, path], async (target) => {
    process.stderr.write(`Building ${path} from source, once.\n`)
    await runTool('go', ['build', '-trimpath', '-o', `${target}/`, path], {
      cwd: PINS,
      env: { CGO_ENABLED: '0' },
      whyNeeded: `${path} is built with it. Install Go from https://go.dev/dl.`
    })
  })
  return join(folder, path.slice(path.lastIndexOf('/') + 1))
}
