import type { WireAnswer } from '../network.ts'

/** What Key Vault refuses with, on the wire and to the KMS plugins alike. */
export class VaultFault extends Error {
  override readonly name = 'VaultFault'
  readonly status: number
  readonly code: string
  readonly innerCode: string | undefined

  constructor(status: number, code: string, message: string, innerCode: string | undefined) {
    super(message)
    this.status = status
    this.code = code
    this.innerCode = innerCode
  }
}

export function vaultFault(status: number, code: string, message: string, innerCode?: string): VaultFault {
  return new VaultFault(status, code, message, innerCode)
}

export function faultAnswer(fault: VaultFault): WireAnswer {
  const innererror = fault.innerCode === undefined ? {} : { innererror: { code: fault.innerCode } }
  return { status: fault.status, body: { error: { code: fault.code, message: fault.message, ...innererror } } }
}
