import { isRestError } from '@azure/core-rest-pipeline'
import { ActionError, type Code } from '../errors.ts'
import { asObject, asText } from '../model/json.ts'
import type { KeyUnreadable } from '../model/key.ts'
import { parseServiceError, type ServiceError } from './errors.ts'
import { errorCode, isNetworkError, isTransientStatus } from './retry-policy.ts'

/** What kept a key from being read or made. */
export interface KeyVaultFailure {
  readonly reason: KeyUnreadable | 'refused'
  readonly message: string
}

/** What Key Vault's own answer, or the lack of one, means. Rethrows what is neither. */
export function keyVaultFailure(error: unknown, vaultName: string): KeyVaultFailure {
  if (isNetworkError(error)) return noAnswer(errorCode(error), vaultName)
  if (!isRestError(error)) throw error
  const said = parseServiceError(error.statusCode ?? 0, error.details)
  const { status, message } = said
  const inner = innerCode(error.details)
  const why = `${message} (${[String(status), said.code, inner].filter((part) => part !== '').join(' ')})`
  if (status === 404) return { reason: 'not-found', message }
  if (status === 401)
    return { reason: 'forbidden', message: `The vault ${vaultName} did not accept the identity: ${why}` }
  if (isTransientStatus(status)) {
    return { reason: 'unreachable', message: `The vault ${vaultName} answers only with errors: ${why}` }
  }
  if (status !== 403) return { reason: 'refused', message: why }
  if (inner === 'ForbiddenByFirewall' || /client address is not authorized/i.test(message)) {
    return firewall(said, vaultName)
  }
  if (inner === 'ForbiddenByConnection' || /approved private link/i.test(message)) return connection(vaultName)
  return forbidden(said, inner, vaultName)
}

const CODES: Readonly<Record<KeyVaultFailure['reason'], Code>> = {
  'not-found': 'key-not-found',
  deleted: 'key-deleted',
  forbidden: 'key-forbidden',
  unreachable: 'key-vault-unreachable',
  refused: 'azure-request-failed'
}

export function keyVaultError(failure: KeyVaultFailure, attempt: string): ActionError {
  return new ActionError(CODES[failure.reason], `Could not ${attempt}: ${failure.message}`)
}

const WAYS_OUT =
  'Run on a self-hosted runner in a network that the vault admits, or admit this runner’s address for the time of the run.'

function noAnswer(code: string | undefined, vaultName: string): KeyVaultFailure {
  const message =
    code === 'ENOTFOUND'
      ? `The name of the vault ${vaultName} is not known here: there is no such vault, or its name resolves only inside its private network. ${WAYS_OUT}`
      : `The vault ${vaultName} does not answer (${code ?? 'timeout'}). ${WAYS_OUT}`
  return { reason: 'unreachable', message }
}

function firewall(said: ServiceError, vaultName: string): KeyVaultFailure {
  const address = /Client address: ([0-9a-f.:]+)/i.exec(said.message)?.[1]
  return {
    reason: 'unreachable',
    message: `The firewall of the vault ${vaultName} does not admit this runner${address === undefined ? '' : `, ${address}`}. ${WAYS_OUT}`
  }
}

function connection(vaultName: string): KeyVaultFailure {
  return {
    reason: 'unreachable',
    message: `The vault ${vaultName} takes no connections from public networks. Run on a self-hosted runner inside a network that reaches its private endpoint.`
  }
}

function forbidden(said: ServiceError, inner: string, vaultName: string): KeyVaultFailure {
  const action = /Action: '([^']+)'/.exec(said.message)?.[1]
  const permission = /does not have keys (\w+) permission/i.exec(said.message)?.[1]
  const lacks =
    action !== undefined
      ? `lacks ${action} on the vault ${vaultName}`
      : permission !== undefined
        ? `lacks the key permission “${permission}” in the access policy of the vault ${vaultName}`
        : `is refused by the vault ${vaultName}: ${said.message}`
  const spreading =
    inner === 'AccessDenied' ? '' : ' A role that was given in the last minutes may not have spread yet.'
  return { reason: 'forbidden', message: `The identity ${lacks}.${spreading}` }
}

function innerCode(details: unknown): string {
  return asText(asObject(asObject(asObject(details)['error'])['innererror'])['code'])
}
