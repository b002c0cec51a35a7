import { TransformError } from './transformer.ts'

/** What the API server sees of a plugin's failure: the gRPC status that Go's plugin makes of any error. */
export async function callPlugin<T>(call: () => Promise<T>, attempted = ''): Promise<T> {
  try {
    return await call()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new TransformError(`${attempted}rpc error: code = Unknown desc = ${message}`, 'Unknown')
  }
}
