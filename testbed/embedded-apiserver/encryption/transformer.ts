/** How the values of one provider are read and written. The prefix is what tells them apart in etcd. */
export interface Transformer {
  readonly prefix: string
  /** `key` is where the value lies: values can't be moved to another key. Throws a `TransformError`. */
  fromStorage(value: Uint8Array, key: string): Promise<Read> | Read
  /** The whole value, with its prefix. */
  toStorage(plaintext: Uint8Array, key: string): Promise<Uint8Array> | Uint8Array
}

export interface Read {
  readonly plaintext: Uint8Array
  /** The value ought to be written again even if nothing in it changes. */
  readonly stale: boolean
}

export class TransformError extends Error {
  /** The status that metrics show: a gRPC code, or what kube-apiserver says where no call was made. */
  readonly metricStatus: string

  constructor(message: string, metricStatus = 'unknown-non-grpc') {
    super(message)
    this.metricStatus = metricStatus
  }
}
