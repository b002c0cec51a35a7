import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { NAMESPACE_PREFIX, SAMPLE_LABEL } from './population.ts'
import { watchDescendants } from './process-usage.ts'
import { adminKubeconfig, type Target } from './target.ts'
import type { Usage } from './worker.ts'

/**
 * What the documentation of AKS tells people to run after a change of the key, and the form for clusters with many Secrets.
 * Source: learn.microsoft.com/azure/aks/use-kms-etcd-encryption
 */
export const KUBECTL_COMMANDS = {
  'all-namespaces': 'kubectl get secrets --all-namespaces -o json | kubectl replace -f -',
  'per-namespace': 'for ns in …; do kubectl get secrets --namespace "$ns" -o json | kubectl replace -f -; done'
} as const

export type KubectlForm = keyof typeof KUBECTL_COMMANDS

export interface Replaced {
  readonly usage: Usage
  readonly secrets: number
  /** Until the first one. */
  readonly startSeconds: number
}

export interface Kubectl {
  /** Replaces all Secrets, or a sample of them: those with its label, or those of the first namespaces. */
  replace(form: KubectlForm, sample?: { readonly namespaces: number }): Promise<Replaced>
  stop(): Promise<void>
}

/** kubectl with a home of its own, so that what it has found out about the API server is kept from run to run. */
export async function prepareKubectl(program: string, target: Target): Promise<Kubectl> {
  const home = await mkdtemp(join(tmpdir(), 'bench-kubectl-'))
  const kubeconfig = join(home, 'kubeconfig')
  const times = join(home, 'times')
  await writeFile(kubeconfig, adminKubeconfig(target))

  return {
    async replace(form, sample) {
      const startedAt = performance.now()
      const child = spawn('bash', ['-o', 'pipefail', '-c', `${scriptOf(form, sample)}\ntimes > "$TIMES"`], {
        env: { PATH: process.env['PATH'] ?? '', HOME: home, KUBECONFIG: kubeconfig, KUBECTL: program, TIMES: times },
        stdio: ['ignore', 'pipe', 'inherit']
      })
      const memory = watchDescendants(child.pid ?? 0)
      const kill = (): void => void child.kill('SIGKILL')
      process.once('exit', kill)
      try {
        const closed = once(child, 'close')
        const elapsed = (): number => (performance.now() - startedAt) / 1000
        let secrets = 0
        let startSeconds = 0
        for await (const line of createInterface(child.stdout)) {
          if (line.endsWith(' replaced') && secrets++ === 0) startSeconds = elapsed()
        }
        await closed
        const seconds = elapsed()
        const cpuSeconds = cpuOfChildren(await readFile(times, 'utf8'))
        return { usage: { seconds, cpuSeconds, peakRssBytes: memory.end() }, secrets, startSeconds }
      } finally {
        memory.end()
        process.removeListener('exit', kill)
      }
    },
    stop: () => rm(home, { recursive: true, force: true })
  }
}

function scriptOf(form: KubectlForm, sample: { readonly namespaces: number } | undefined): string {
  if (form === 'all-namespaces') {
    const selector = sample === undefined ? '' : ` --selector ${SAMPLE_LABEL.name}=${SAMPLE_LABEL.value}`
    return `"$KUBECTL" get secrets --all-namespaces${selector} -o json | "$KUBECTL" replace -f -`
  }
  const names = `"$KUBECTL" get namespaces -o name | sed -n 's,^namespace/\\(${NAMESPACE_PREFIX}.*\\),\\1,p'`
  const some = sample === undefined ? '' : ` | sed ${String(sample.namespaces)}q`
  return `for ns in $(${names}${some}); do "$KUBECTL" get secrets --namespace "$ns" -o json | "$KUBECTL" replace -f -; done`
}

/** The second line that the shell's `times` prints is of its children: user and system, such as `1m2.345s 0m6.789s`. */
function cpuOfChildren(times: string): number {
  const line = times.split('\n')[1] ?? ''
  const parts = [...line.matchAll(/(\d+)m([\d.]+)s/g)]
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0)
}
