import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import type { BedCloud } from './clouds.ts'
import type { JsonObject } from './json.ts'
import { armFault, type ArmRoute } from './resource-manager.ts'

/** Ends an operation as Failed with this code and message. */
export class OperationFailed extends Error {
  override readonly name = 'OperationFailed'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export interface Operation {
  readonly id: string
  /** What the header Azure-AsyncOperation says. */
  readonly url: string
  readonly state: 'running' | 'succeeded' | 'failed'
  /** Resolves when the operation has ended, either way. */
  readonly ended: Promise<void>
}

export interface Operations {
  /** Carries out work in the background; whatever it throws is the error that the operation ends with. */
  begin(options: {
    readonly subscriptionId: string
    readonly location: string
    /** Milliseconds that it takes at least; the work is done in the middle of them. */
    readonly duration: number
    /** True while the work is stuck and nothing will come of it. */
    readonly stuck: () => boolean
    readonly work: () => Promise<void>
    /** Called when the operation has ended, before anybody can see that it has. */
    readonly settle: (failure: OperationFailed | undefined) => void
  }): Operation
  readonly routes: readonly ArmRoute[]
  /** Ends all waiting; operations under way stay as they are. */
  close(): void
}

interface OperationState {
  readonly id: string
  readonly search: string
  readonly started: number
  readonly duration: number
  readonly stuck: () => boolean
  ended: number | undefined
  failure: OperationFailed | undefined
}

/** Long-running operations of AKS, with the status words that its newer operations go through. */
export function createOperations(cloud: BedCloud): Operations {
  const operations = new Map<string, OperationState>()
  const closing = new AbortController()
  const pause = (milliseconds: number): Promise<void> =>
    sleep(Math.max(milliseconds, 0), undefined, { ref: false, signal: closing.signal })

  return {
    begin({ subscriptionId, location, duration, stuck, work, settle }) {
      const id = randomUUID()
      const search = signedQuery()
      const state: OperationState = {
        id,
        search,
        started: Date.now(),
        duration,
        stuck,
        ended: undefined,
        failure: undefined
      }
      operations.set(id, state)
      const run = async (): Promise<void> => {
        let failure: OperationFailed | undefined
        try {
          await pause(duration / 2)
          await work()
          await pause(state.started + duration - Date.now())
        } catch (error) {
          if (closing.signal.aborted) return
          failure =
            error instanceof OperationFailed ? error : new OperationFailed('InternalOperationError', String(error))
        }
        settle(failure)
        state.failure = failure
        state.ended = Date.now()
      }
      const ended = run()
      return {
        id,
        url: `https://${cloud.resourceManagerHost}/subscriptions/${subscriptionId}/providers/Microsoft.ContainerService/locations/${location}/operations/${id}${search}`,
        get state() {
          if (state.ended === undefined) return 'running'
          return state.failure === undefined ? 'succeeded' : 'failed'
        },
        ended
      }
    },
    routes: [
      {
        method: 'GET',
        path: '/subscriptions/{subscription}/providers/Microsoft.ContainerService/locations/{location}/operations/{id}',
        handle({ parameters, request, caller, resourceId }) {
          const found = operations.get(parameters['id'] ?? '')
          if (found === undefined) return armFault(404, 'NotFound', 'The operation could not be found.')
          // The url is signed: whoever has it as it was given may follow the operation, and nobody else.
          if (found.search !== request.search) {
            return armFault(
              403,
              'AuthorizationFailed',
              `The client '${caller.applicationId}' with object id '${caller.objectId}' does not have authorization to perform action 'Microsoft.ContainerService/locations/operations/read' over scope '${resourceId}' or the scope is invalid.`
            )
          }
          return { status: 200, headers: { 'content-type': 'application/json' }, body: show(found) }
        }
      }
    ],
    close() {
      closing.abort()
    }
  }
}

function show(operation: OperationState): JsonObject {
  const { id, started, ended, failure } = operation
  const start = { name: id, status: statusOf(operation), startTime: precise(started) }
  if (ended === undefined) return start
  const error = failure === undefined ? {} : { error: { code: failure.code, message: failure.message } }
  return { ...start, endTime: precise(ended), ...error }
}

function statusOf({ started, ended, failure, duration, stuck }: OperationState): string {
  if (ended !== undefined) return failure === undefined ? 'Succeeded' : 'Failed'
  const progress = (Date.now() - started) / Math.max(duration, 1)
  if (stuck() || progress < 0.2) return 'InProgress'
  return progress < 0.8 ? 'ProvisioningControlPlane' : 'ReconcilingAddons'
}

function precise(time: number): string {
  return new Date(time).toISOString().replace('Z', '1234Z')
}

/** Some 3,500 characters that look like what ARM signs its urls with. */
function signedQuery(): string {
  const secret = (bytes: number): string => randomBytes(bytes).toString('base64url')
  return `?api-version=2025-03-01&t=${Date.now()}0000000&c=${secret(2100)}&s=${secret(256)}&h=${secret(32)}`
}
