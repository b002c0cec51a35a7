import { ActionError } from '../errors.ts'
import { federatedCredentialAdvice, type IdTokenClaims } from './federated-credential.ts'

export interface SignIn {
  /** What was used to sign in with. */
  readonly how: string
  readonly authority?: string
  readonly tenantId?: string
  readonly clientId?: string | undefined
  readonly sent?: IdTokenClaims | undefined
  /** Why Entra gave no answer, where it gave none. */
  readonly outage?: string | undefined
}

/**
 * No federated credential with this issuer, subject or audience.
 * Source: learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
const NO_MATCH: ReadonlySet<string> = new Set(['70021', '700211', '700212', '700213', '7002138'])
const NO_TENANT: ReadonlySet<string> = new Set(['90002', '900023', '50020', '900021'])
const NO_CLIENT: ReadonlySet<string> = new Set(['700016', '7000112'])
const ID_TOKEN_OUT_OF_TIME = '700024'

/** The failure that a credential's error means. Neither tokens nor Entra's trace ids get into it. */
export function signInError(error: unknown, signIn: SignIn): ActionError {
  const text = error instanceof Error ? error.message : String(error)
  const { clientId = '<client id>', tenantId = '<tenant id>', sent } = signIn
  const code = /AADSTS(\d+)/.exec(text)?.[1]
  const said = `Signing in with ${signIn.how} failed: ${summary(text)}`
  if (code === undefined) {
    if (signIn.outage !== undefined) {
      return new ActionError(
        'azure-unavailable',
        `${signIn.authority ?? 'Microsoft Entra ID'} did not answer: ${signIn.outage}.`
      )
    }
    // MSAL hides the AADSTS code where it looks up the authority first, which it does in clouds that it doesn't know.
    if (text.includes('endpoints_resolution_error')) {
      return new ActionError(
        'tenant-not-found',
        `${signIn.authority ?? 'Microsoft Entra ID'} knows no tenant ${tenantId}.`
      )
    }
    return new ActionError('sign-in-failed', said)
  }
  if (NO_MATCH.has(code)) {
    const advice = sent === undefined ? [] : [federatedCredentialAdvice(clientId, sent)]
    return new ActionError('federated-credential-mismatch', [said, ...advice].join('\n'))
  }
  if (NO_TENANT.has(code)) return new ActionError('tenant-not-found', `${said} The tenant asked for is ${tenantId}.`)
  if (NO_CLIENT.has(code)) {
    return new ActionError('client-not-found', `${said} The client asked for is ${clientId}, in tenant ${tenantId}.`)
  }
  if (code === ID_TOKEN_OUT_OF_TIME) {
    return new ActionError(
      'sign-in-failed',
      `${said} The ID token had only just been made: GitHub’s clock and Entra’s differ, or the exchange took minutes.`
    )
  }
  return new ActionError('sign-in-failed', said)
}

/** Entra's code with its first sentence and the correlation id, by which Microsoft's support finds the request. */
function summary(text: string): string {
  const correlation = /Correlation ID:\s*([0-9a-f-]{36})/i.exec(text)?.[1]
  const sentence =
    /AADSTS\d+:[^\r\n]*?(?:\.(?=\s|$)|(?=\s+(?:Trace|Correlation) ID:)|$)/m.exec(text)?.[0].trim() ?? text.trim()
  return correlation === undefined ? sentence : `${sentence} (correlation id ${correlation})`
}
