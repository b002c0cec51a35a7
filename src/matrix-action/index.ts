import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import * as core from '@actions/core'
import { parseDesiredState, type DesiredState } from '../desired-state.ts'
import { ActionError, toActionError } from '../errors.ts'
import { changedLegs, distribute, legsOfStatus, MOST_LEGS, removed, type Leg, type Matrix } from './matrix.ts'

async function main(): Promise<void> {
  const legs = await readLegs()
  const canary = wholeNumber('canary', 0, 1000)
  const batchSize = wholeNumber('batch-size', 1, MOST_LEGS)
  const distribution = distribute(legs, canary, batchSize)
  const batches = distribution.batches.slice(0, wholeNumber('max-batches', 1, 1000))
  const taken = [distribution.canary, ...batches].flatMap(({ include }) => include)
  const leftOver = legs.length - taken.length

  core.info(`${String(taken.length)} of ${String(legs.length)}: ${taken.map(({ name }) => name).join(', ') || 'none'}`)
  if (leftOver > 0) core.notice(`${String(leftOver)} clusters are left for the next run.`)
  const outputs: Readonly<Record<string, unknown>> = {
    count: taken.length,
    names: taken.map(({ name }) => name),
    matrix: oneMatrix(taken),
    canary: distribution.canary,
    'canary-count': distribution.canary.include.length,
    rest: oneMatrix(batches.flatMap(({ include }) => include)),
    batches,
    'batch-count': batches.length,
    'left-over': leftOver
  }
  for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value)
}

/** Undefined, and so an empty output, where the legs are more than fit. */
function oneMatrix(legs: readonly Leg[]): Matrix | undefined {
  return legs.length > MOST_LEGS ? undefined : { include: legs }
}

async function readLegs(): Promise<readonly Leg[]> {
  const [desiredState, clusters] = [core.getInput('desired-state'), core.getInput('clusters')]
  if ((desiredState === '') === (clusters === '')) {
    throw new ActionError('input-invalid', 'Exactly one of the inputs desired-state and clusters must be given.')
  }
  if (clusters !== '') return legsOfStatus(clusters)
  const desired = parseDesiredState(await pathOrText('desired-state', desiredState))
  const before = await readBefore(core.getInput('desired-state-before'))
  for (const name of removed(desired, before)) {
    core.notice(
      `${name} is no longer in the desired state: it is left as it is. KMS is switched off by \`enabled: false\`.`
    )
  }
  return changedLegs(desired, before)
}

/** Undefined where there was none that could be used: then everything is a change. */
async function readBefore(input: string): Promise<DesiredState | undefined> {
  if (input === '' || (isPath(input) && !existsSync(input))) return undefined
  try {
    return parseDesiredState(await pathOrText('desired-state-before', input))
  } catch (error) {
    core.warning(
      `The desired state of before can’t be used, so that every cluster counts as changed. ${toActionError(error).message}`
    )
    return undefined
  }
}

function isPath(input: string): boolean {
  return !input.includes('\n')
}

async function pathOrText(name: string, input: string): Promise<string> {
  if (!isPath(input)) return input
  try {
    return await readFile(input, 'utf8')
  } catch (error) {
    throw new ActionError('input-invalid', `The input ${name} names the file ${input}, which can’t be read.`, {
      fix: 'Correct the path; the job needs a checkout of the repository before this step.',
      cause: error
    })
  }
}

function wholeNumber(name: string, least: number, most: number): number {
  const text = core.getInput(name)
  const number = /^\d{1,4}$/.test(text) ? Number(text) : -1
  if (number >= least && number <= most) return number
  throw new ActionError(
    'input-invalid',
    `The input ${name} is “${text}”; expected is a whole number from ${String(least)} to ${String(most)}.`
  )
}

try {
  await main()
} catch (error) {
  const { code, message, fix } = toActionError(error)
  core.error(`${message}\nFix: ${fix}`, { title: `matrix: ${code}` })
  process.exitCode = 1
}
