/** `Status` answers of the API, with the wording and the details that kube-apiserver 1.36 gives them. */

export interface Cause {
  readonly reason?: string
  readonly message: string
  readonly field?: string
}

interface Details {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly Cause[]
  readonly retryAfterSeconds?: number
}

export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: { readonly continue?: string }
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly details?: Details
  readonly code?: number
}

/** What errors name: `secrets`, or `leases.coordination.k8s.io`. */
export interface ResourceName {
  readonly group: string
  readonly plural: string
  readonly kind: string
}

export class StatusError extends Error {
  readonly status: Status

  constructor(code: number, reason: string | undefined, message: string, details?: Details, continueToken?: string) {
    super(message)
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: continueToken === undefined ? {} : { continue: continueToken },
      status: 'Failure',
      message,
      ...(reason === undefined ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code
    }
  }

  get code(): number {
    return this.status.code ?? 500
  }
}

const qualified = ({ group, plural }: ResourceName): string => (group === '' ? plural : `${plural}.${group}`)
const groupOf = ({ group }: ResourceName): { readonly group?: string } => (group === '' ? {} : { group })
const detailsOf = (resource: ResourceName, name: string): Details => ({
  ...(name === '' ? {} : { name }),
  ...groupOf(resource),
  kind: resource.plural
})

export const deleted = (resource: ResourceName, name: string, uid: string): Status => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: { ...detailsOf(resource, name), uid }
})

export const badRequest = (message: string): StatusError => new StatusError(400, 'BadRequest', message)

export const unauthorized = (): StatusError => new StatusError(401, 'Unauthorized', 'Unauthorized')

export const forbidden = (
  resource: ResourceName,
  name: string,
  message: string,
  causes?: readonly Cause[]
): StatusError =>
  new StatusError(
    403,
    'Forbidden',
    name === ''
      ? `${qualified(resource)} is forbidden: ${message}`
      : `${qualified(resource)} ${JSON.stringify(name)} is forbidden: ${message}`,
    { ...detailsOf(resource, name), ...(causes === undefined ? {} : { causes }) }
  )

export const forbiddenPath = (message: string): StatusError =>
  new StatusError(403, 'Forbidden', `forbidden: ${message}`, {})

export const deniedByWebhook = (webhook: string, message: string): StatusError =>
  new StatusError(403, 'Forbidden', `admission webhook ${JSON.stringify(webhook)} denied the request: ${message}`)

export const notFound = (resource: ResourceName, name: string): StatusError =>
  new StatusError(
    404,
    'NotFound',
    `${qualified(resource)} ${JSON.stringify(name)} not found`,
    detailsOf(resource, name)
  )

export const unknownResource = (): StatusError =>
  new StatusError(404, 'NotFound', 'the server could not find the requested resource', {})

export const methodNotAllowed = (): StatusError =>
  new StatusError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})

export const alreadyExists = (resource: ResourceName, name: string): StatusError =>
  new StatusError(
    409,
    'AlreadyExists',
    `${qualified(resource)} ${JSON.stringify(name)} already exists`,
    detailsOf(resource, name)
  )

export const conflict = (
  resource: ResourceName,
  name: string,
  message = 'the object has been modified; please apply your changes to the latest version and try again'
): StatusError =>
  new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} ${JSON.stringify(name)}: ${message}`,
    detailsOf(resource, name)
  )

export const expired = (continueToken?: string): StatusError =>
  new StatusError(
    410,
    'Expired',
    continueToken === undefined
      ? 'The resourceVersion for the provided list is too old.'
      : 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the ' +
          'continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing ' +
          'with the provided token results in an inconsistent list - objects that were created, modified, or deleted between ' +
          'the time the first chunk was returned and now may show up in the list.',
    undefined,
    continueToken
  )

export const invalid = (resource: ResourceName, name: string, causes: readonly Cause[]): StatusError => {
  const subject = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`
  const texts = [...new Set(causes.map(({ field, message }) => `${field ?? ''}: ${message}`))]
  return new StatusError(
    422,
    'Invalid',
    `${subject} ${JSON.stringify(name)} is invalid: ${texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`}`,
    { ...(name === '' ? {} : { name }), ...groupOf(resource), kind: resource.kind, causes }
  )
}

/** A `test` of a JSON patch that does not hold. */
export const patchTestFailed = (): StatusError =>
  new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {})

export const internalError = (message: string): StatusError =>
  new StatusError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] })

export const timeout = (message: string, retryAfterSeconds: number, causes: readonly Cause[]): StatusError =>
  new StatusError(504, 'Timeout', `Timeout: ${message}`, { causes, retryAfterSeconds })
