/** The wire format of Protocol Buffers, as far as the values in etcd use it. */

const wireType = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const

export interface Field {
  readonly number: number
  /** A number from a varint, octets from everything else. */
  readonly value: number | Uint8Array
}

export const varintField = (number: number, value: number): Buffer =>
  value === 0 ? empty : Buffer.from([...varint((number << 3) | wireType.varint), ...varint(value)])

export const bytesField = (number: number, value: Uint8Array): Buffer =>
  value.length === 0 ? empty : messageField(number, value)

/** Unlike a scalar of its default value, an empty message is written. */
export const messageField = (number: number, message: Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.from([...varint((number << 3) | wireType.lengthDelimited), ...varint(message.length)]),
    message
  ])

export const stringField = (number: number, value: string): Buffer => bytesField(number, Buffer.from(value, 'utf8'))

const empty = Buffer.alloc(0)

const varint = (value: number): readonly number[] =>
  value < 0x80 ? [value] : [0x80 | (value % 0x80), ...varint(Math.floor(value / 0x80))]

/** The fields of a message in the order in which they were written. */
export function* readFields(message: Uint8Array): Generator<Field> {
  let offset = 0
  const take = (length: number): Uint8Array => {
    if (offset + length > message.length) throw new Error(`The protobuf message ends within a field at ${offset}.`)
    offset += length
    return message.subarray(offset - length, offset)
  }
  const takeVarint = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const [octet = 0] = take(1)
      value += (octet & 0x7f) * factor
      if (octet < 0x80) return value
    }
  }
  const takeValue = (type: number): number | Uint8Array => {
    switch (type) {
      case wireType.varint:
        return takeVarint()
      case wireType.fixed64:
        return take(8)
      case wireType.lengthDelimited:
        return take(takeVarint())
      case wireType.fixed32:
        return take(4)
      default:
        throw new Error(`The protobuf message has a field of the unknown wire type ${type}.`)
    }
  }
  while (offset < message.length) {
    const tag = takeVarint()
    yield { number: tag >>> 3, value: takeValue(tag & 0b111) }
  }
}
