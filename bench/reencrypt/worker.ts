import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { peakOf } from './process-usage.ts'

/** What a worker can be asked for; arguments and answers travel as JSON. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>

type ArgumentOf<Handler> = Handler extends (argument: infer Argument) => unknown ? Argument : never
type AnswerOf<Handler> = Handler extends (argument: never) => infer Answer ? Awaited<Answer> : never

/** A process of its own, so that what it does is not slowed by the bench, and its memory and CPU time are its own. */
export interface Worker<H extends Handlers> {
  /** Rejects when the handler throws, and when the process ends. One call at a time. */
  call<Name extends keyof H & string>(name: Name, argument: ArgumentOf<H[Name]>): Promise<AnswerOf<H[Name]>>
  stop(): Promise<void>
}

type Reply = { readonly answer: unknown } | { readonly error: string }

/** Starts a file of the folder `processes`, which serves handlers of the type given. */
export function startWorker<H extends Handlers>(file: string): Worker<H> {
  const child = fork(fileURLToPath(new URL(`processes/${file}`, import.meta.url)), { stdio: ['ignore', 2, 2, 'ipc'] })
  const ended = once(child, 'exit').then(() => {
    throw new Error(`The process ${file} ended.`)
  })
  ended.catch(() => {})
  return {
    async call(name, argument) {
      const reply = once(child, 'message')
      child.send({ name, argument })
      const [message] = (await Promise.race([reply, ended])) as [Reply]
      if ('error' in message) throw new Error(`${file}, ${name}: ${message.error}`)
      return message.answer as AnswerOf<H[typeof name]>
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended.catch(() => {})
    }
  }
}

/** The worker's side. It ends with the process that started it. */
export function serve(handlers: Handlers): void {
  process.on('disconnect', () => process.exit())
  process.on('message', ({ name, argument }: { readonly name: string; readonly argument: never }) => {
    void reply(handlers[name], argument).then((message) => process.send?.(message))
  })
}

async function reply(handler: Handlers[string] | undefined, argument: never): Promise<Reply> {
  try {
    return { answer: (await handler?.(argument)) ?? null }
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

/** What a piece of work took of this process. */
export interface Usage {
  readonly seconds: number
  /** User and system time of all threads. */
  readonly cpuSeconds: number
  /** The most that the process has had so far. */
  readonly peakRssBytes: number
}

export async function measureUsage<Result>(work: () => Promise<Result>): Promise<{ usage: Usage; result: Result }> {
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const result = await work()
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  return { usage: { seconds, cpuSeconds: (user + system) / 1e6, peakRssBytes: peakOf(process.pid) }, result }
}
