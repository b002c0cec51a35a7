import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const LOCK_POLL_INTERVAL = 200

/**
 * The folder that `build` has filled: once for the same `sources` on this platform, then kept in the user's cache. It is filled
 * elsewhere and renamed into place, so that nobody ever sees half of it.
 */
export async function buildOnce(
  name: string,
  sources: readonly unknown[],
  build: (folder: string) => Promise<void>
): Promise<string> {
  const version = createHash('sha256').update(JSON.stringify([...sources, process.platform, process.arch]))
  const kept = join(cacheHome(), 'aks-kms-etcd-encryption', name, version.digest('hex').slice(0, 16))
  if (await exists(kept)) return kept
  await oneAtATime(`${kept}.lock`, async () => {
    if (await exists(kept)) return
    const workshop = await mkdtemp(`${kept}.`)
    try {
      await build(workshop)
      await rename(workshop, kept)
    } finally {
      await rm(workshop, { recursive: true, force: true })
    }
  })
  return kept
}

/** Runs a program whose output is of no interest unless it fails. `whyNeeded` is said where it is not installed. */
export async function runTool(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly whyNeeded: string }
): Promise<void> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  try {
    await once(child, 'exit')
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    throw new Error(`There is no \`${program}\` on the PATH. ${options.whyNeeded}`, { cause: error })
  }
  if (child.exitCode !== 0) throw new Error(`${program} ${args.slice(0, 2).join(' ')} failed; its output says why.`)
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** Several processes may want the same at once, and a build takes all there is of a machine. */
async function oneAtATime(lock: string, work: () => Promise<void>): Promise<void> {
  await mkdir(dirname(lock), { recursive: true })
  while (!(await take(lock))) await sleep(LOCK_POLL_INTERVAL)
  try {
    await work()
  } finally {
    await rm(lock, { force: true })
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  }
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
  if (holder > 0 && !isRunning(holder)) await rm(lock, { force: true })
  return false
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !isErrno(error, 'ESRCH')
  }
}

function cacheHome(): string {
  const home = process.env['XDG_CACHE_HOME']
  return home === undefined || home === '' ? join(homedir(), '.cache') : home
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
