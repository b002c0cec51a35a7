import { data, Evaluator, Lexer, Parser } from '@actions/expressions'

/** Values of the contexts by name, such as `inputs` and `needs`. */
export type Contexts = Readonly<Record<string, unknown>>

/** How a job that is about to start finds the jobs that it needs, for the functions `success()`, `failure()` and the like. */
export interface Status {
  readonly failed?: boolean
  readonly skipped?: boolean
  readonly cancelled?: boolean
}

/** The contexts that there are in workflows. Source: docs.github.com/actions/reference/contexts */
const CONTEXTS = [
  'github',
  'env',
  'vars',
  'job',
  'jobs',
  'steps',
  'runner',
  'secrets',
  'strategy',
  'matrix',
  'needs',
  'inputs'
]

/** Evaluates what stands in `${{ }}`, by GitHub's own implementation. */
export function evaluate(expression: string, contexts: Contexts = {}, status: Status = {}): unknown {
  const functions = statusFunctions(status)
  const tree = parse(expression, [...functions.values()])
  return toValue(new Evaluator(tree, toDictionary(contexts), functions).evaluate())
}

/** A value of a workflow file with its expressions evaluated: one that is an expression as a whole keeps its type. */
export function interpolate(value: unknown, contexts: Contexts): unknown {
  if (typeof value !== 'string') return value
  const whole = /^\$\{\{((?:(?!\}\}).)*)\}\}$/s.exec(value.trim())?.[1]
  if (whole !== undefined) return evaluate(whole, contexts)
  return value.replaceAll(/\$\{\{(.*?)\}\}/gs, (_, expression: string) => asText(evaluate(expression, contexts)))
}

/** Whether a job or a step with this `if` runs. One without a status function runs only where nothing before it failed. */
export function isRun(condition: string | undefined, contexts: Contexts, status: Status = {}): boolean {
  const fine = status.failed !== true && status.skipped !== true && status.cancelled !== true
  if (condition === undefined) return fine
  const expression = condition.replace(/^\$\{\{(.*)\}\}$/s, '$1')
  const saysWhen = /\b(always|success|failure|cancelled)\(\)/.test(expression)
  return (saysWhen || fine) && isTruthy(evaluate(expression, contexts, status))
}

/** Every expression of a workflow file. */
export function expressionsIn(workflow: unknown, name = ''): readonly string[] {
  if (typeof workflow === 'string') {
    if (name === 'if' && !workflow.includes('${{')) return [workflow]
    return [...workflow.matchAll(/\$\{\{(.*?)\}\}/gs)].map(([, expression = '']) => expression)
  }
  if (typeof workflow !== 'object' || workflow === null) return []
  return Object.entries(workflow).flatMap(([key, value]) => expressionsIn(value, key))
}

/** Throws where it is no expression, or names a context or a function that there is not. */
export function check(expression: string): void {
  parse(expression, [...statusFunctions({}).values(), hashFiles])
}

type Functions = NonNullable<ConstructorParameters<typeof Evaluator>[2]>
type FunctionDefinition = Functions extends Map<string, infer F> ? F : never

function statusFunctions({ failed = false, skipped = false, cancelled = false }: Status): Functions {
  const define = (name: string, value: boolean): [string, FunctionDefinition] => [
    name,
    { name, minArgs: 0, maxArgs: 0, call: () => new data.BooleanData(value) }
  ]
  return new Map([
    define('always', true),
    define('success', !failed && !skipped && !cancelled),
    define('failure', failed),
    define('cancelled', cancelled)
  ])
}

const hashFiles = { name: 'hashfiles', minArgs: 1, maxArgs: 255 }

function parse(
  expression: string,
  functions: readonly { readonly name: string; readonly minArgs: number; readonly maxArgs: number }[]
) {
  return new Parser(new Lexer(expression).lex().tokens, CONTEXTS, [...functions]).parse()
}

function toDictionary(object: object): data.Dictionary {
  return new data.Dictionary(...Object.entries(object).map(([key, value]) => ({ key, value: toData(value) })))
}

function toData(value: unknown): data.ExpressionData {
  return JSON.parse(JSON.stringify(value ?? null), data.reviver) as data.ExpressionData
}

function toValue(value: data.ExpressionData): unknown {
  return JSON.parse(JSON.stringify(value, data.replacer)) as unknown
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value)
}

function isTruthy(value: unknown): boolean {
  return value !== null && value !== false && value !== 0 && value !== ''
}
