import { format, resolveConfig } from 'prettier'

import { tableAsMarkdown } from '../table.ts'
import { PER_NAMESPACE_SECONDS } from './cases.ts'
import { KUBECTL_COMMANDS } from './kubectl.ts'
import type { BenchResult } from './result.ts'
import { bundleTable, bystanderTable, costTable, isSpread, perNamespaceTable, speedTable, waysOf } from './tables.ts'
import { targetsTable } from './targets.ts'

/** The text of docs/performance.md, formatted as it is to be written to that path. */
export async function performancePage(result: BenchResult, path: string): Promise<string> {
  const { machine } = result
  const markdown = `# Performance

<!-- Written by \`${result.command}\`; change bench/reencrypt/performance-page.ts instead. -->

How long it takes to make the API server write every Secret again, beside what AKS’s documentation has people run, and beside the
most that the API server can do at all. All ways ran on the same real etcd and kube-apiserver, on the same Secrets, in turn; all
Secrets were stale before each, and the bytes in etcd were checked after each.

![Time against the number of Secrets, and against the round trip](performance.svg)

## Time

${tableAsMarkdown(speedTable(result))}

- **this action**: one pass that re-encrypts every Secret, with the listing. The next column adds what makes it a proof: a second pass
  that finds nothing stale, and the evidence of every API server.
- **kubectl**: \`${KUBECTL_COMMANDS['all-namespaces']}\`. It proves nothing afterwards. It had all the Secrets
  to replace, unless a ~ says that all would have taken more than ${String(result.kubectlLimitMinutes)} min (\`--kubectl-limit\`): then it had a sample of them.
- **ceiling**: a client that knows all names beforehand, keeps no books, and has as many requests under way as the API server
  likes best.
- The round trip, where there is one, is made by a proxy between the client and the API server.

What it means: the action is bound by the API server, not by the way to it. Count on about a second for some hundred Secrets
of ordinary size, at any distance; kubectl waits for one round trip and more for each Secret.

## Cost

${tableAsMarkdown(costTable(result))}

CPU and memory are the client’s: what the runner has to have. The built action as a whole, from its start to its summary, with
both proofs of a rotation (memory is that of the whole process):

${tableAsMarkdown(bundleTable(result))}

Neither the number nor the size of the Secrets shows in its memory: no value is ever received.${canarySentence(result)}

## What others feel

A bystander reads and writes a ConfigMap of its own every 50 ms. How long it waited, median and 99th percentile:

${tableAsMarkdown(bystanderTable(result))}

The action lets only as many requests queue up in the API server as keep it busy, and fewer when answers become slower;
\`max-concurrency\` and \`max-requests-per-second\` bound it further. Here the client, the API server and etcd share one machine, which makes
waits longer than they would be elsewhere.

## kubectl, one namespace at a time

\`${KUBECTL_COMMANDS['per-namespace']}\`, since the documentation
suggests to go by namespace on larger clusters. ~ is extrapolated from a sample, where all would have taken more than ${String(PER_NAMESPACE_SECONDS)} s:

${tableAsMarkdown(perNamespaceTable(result))}

## Targets

${tableAsMarkdown(targetsTable(result))}
${loopbackParagraph(result)}${spreadParagraph(result)}
## Repeat it

\`\`\`sh
${result.command}
\`\`\`

Measured on ${result.startedAt.slice(0, 10)} in ${String(Math.round(result.seconds / 60))} minutes, on a machine with
${String(machine.cores)} cores (${machine.cpu}) and ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB of memory, ${machine.kernel}, Node ${machine.node}, Kubernetes
${machine.kubernetes}, etcd ${machine.etcd}. etcd waited for its disk, as it does in production.${againList(result)}

\`npm run bench -- reencrypt --secrets 2000 --rtt 20\` is a single case.
`
  return format(markdown, { ...(await resolveConfig(path)), filepath: path })
}

/** What bounds the speedup where there is no round trip to save. */
function loopbackParagraph({ cases }: BenchResult): string {
  const most = cases
    .filter(({ rttMs, population }) => rttMs === 0 && population.bytes === 1_000)
    .map((one) => {
      const [, ceiling, kubectl] = waysOf(one)
      return kubectl.figures.seconds / ceiling.figures.seconds
    })
  if (most.length === 0) return ''
  const [least, greatest] = [Math.min(...most), Math.max(...most)].map((value) => value.toFixed(1))
  return `
On loopback kubectl has no round trip to wait for, and two cores serve client, API server and etcd: even the ceiling is no more than
${least} to ${greatest} times as fast as kubectl there. What the action lacks to the ceiling are its
start, its own CPU time, and the requests that it keeps from waiting in the API server, behind which others would have to wait.
`
}

/** Why many small namespaces are another matter, in requests. */
function spreadParagraph({ cases }: BenchResult): string {
  const spread = cases.find(({ population }) => isSpread(population))
  if (spread === undefined) return ''
  const [action, ceiling] = waysOf(spread)
  const { secrets, namespaces } = spread.population
  const perSecond = ((secrets + namespaces) / action.figures.seconds).toFixed(0)
  return `
The ceiling lists nothing, and lists weigh where each namespace has two Secrets: the answer to a list over all namespaces says of
no row which namespace it belongs to, unless it has labels and annotations too, and annotations hold values. Lists and patches
together, the action made ${perSecond} requests a second there, beside the ceiling’s ${ceiling.figures.patchesPerSecond.toFixed(0)} patches.
`
}

function againList({ again = [] }: BenchResult): string {
  if (again.length === 0) return ''
  const runs = again.map(
    ({ command, startedAt, cases }) => `- ${cases.join(' · ')}: \`${command}\` on ${startedAt.slice(0, 10)}`
  )
  return ` Later, in runs of their own:\n\n${runs.join('\n')}`
}

function canarySentence({ canaries }: BenchResult): string {
  if (canaries === undefined) return ''
  const { action, kubectl, secrets } = canaries
  return ` In all ${action.answers.toLocaleString('en-US')} answers of a rotation of ${secrets.toLocaleString('en-US')} Secrets with marked values, decrypted and searched, the marks were found ${String(action.hits)} times; the same search in kubectl’s ${String(kubectl.answers)} answers found them ${String(kubectl.hits)} times.`
}
