import { execFile } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { promisify } from 'node:util'

import { findBinaries } from '../../testbed/control-plane/binaries.ts'

/** What the figures were measured on. */
export interface Machine {
  readonly cores: number
  readonly cpu: string
  readonly memoryBytes: number
  readonly kernel: string
  readonly node: string
  readonly kubernetes: string
  readonly etcd: string
}

const run = promisify(execFile)

export async function describeMachine(): Promise<Machine> {
  const { kubeApiserver, etcd } = await findBinaries()
  const version = async (program: string): Promise<string> =>
    /\d+\.\d+\.\d+\S*/.exec((await run(program, ['--version'])).stdout)?.[0] ?? 'unknown'
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.versions.node,
    kubernetes: await version(kubeApiserver),
    etcd: await version(etcd)
  }
}
