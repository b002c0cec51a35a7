import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A server that runs as a child of this process and does not outlive it. */
export interface ServerProcess {
  /** Resolves as soon as `ready` says so; throws with the end of the log when the process exits or takes too long. */
  waitUntil(ready: () => Promise<boolean>): Promise<void>
  /** Asks it to end what it is doing and then to exit. */
  terminate(): void
  /** Ends it at once; resolves when it is gone. */
  kill(): Promise<void>
}

const START_TIMEOUT = 30_000
const LINES_OF_LOG = 10
const POLL_INTERVAL = 20

export function startServerProcess(options: {
  readonly program: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly log: string
}): ServerProcess {
  const name = basename(options.program)
  const log = openSync(options.log, 'a')
  const child = spawn(options.program, options.args, {
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', log, log]
  })
  closeSync(log)

  let end: string | undefined
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      end = `ended with ${signal ?? `code ${code}`}`
      resolve()
    })
    child.once('error', (error) => {
      end = `could not be run (${error.message})`
      resolve()
    })
  })
  const watchdog = child.pid === undefined ? undefined : watch(child.pid)
  void ended.then(() => watchdog?.dismiss())

  async function failure(what: string): Promise<Error> {
    const lines = (await readFile(options.log, 'utf8')).trimEnd().split('\n')
    return new Error(`${name} ${what}. The end of its log:\n${lines.slice(-LINES_OF_LOG).join('\n')}`)
  }

  return {
    async waitUntil(ready) {
      const deadline = Date.now() + START_TIMEOUT
      for (;;) {
        if (end !== undefined) throw await failure(end)
        if (await ready()) return
        if (Date.now() > deadline) throw await failure(`was not ready within ${START_TIMEOUT / 1000} s`)
        await sleep(POLL_INTERVAL)
      }
    },
    terminate() {
      child.kill('SIGTERM')
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    }
  }
}

/**
 * A shell that kills the process once this one is gone, however it went: its standard input ends then.
 * A handler of the event `exit` would not be called when a signal ends this process.
 */
function watch(pid: number): { dismiss(): void } {
  const shell = spawn('/bin/sh', ['-c', 'read -r _ || kill -9 "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true
  })
  shell.unref()
  shell.on('error', () => undefined)
  shell.stdin.on('error', () => undefined)
  return {
    dismiss() {
      shell.stdin.end('\n')
    }
  }
}
