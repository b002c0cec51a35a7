/** The wire format of Protocol Buffers, as far as the values in etcd use it. */

export interface Field {
  readonly number: number
  /** A number from a varint, octets from everything else. */
  readonly value: number | Uint8Array
}

const WIRE_TYPE = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const

export function varintField(number: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.from([...tag(number, WIRE_TYPE.varint), ...varint(value)])
}

export function stringField(number: number, value: string): Buffer {
  return bytesField(number, Buffer.from(value, 'utf8'))
}

export function bytesField(number: number, value: Uint8Array): Buffer {
  return value.length === 0 ? Buffer.alloc(0) : messageField(number, value)
}

/** Unlike a scalar of its default value, an empty message is written. */
export function messageField(number: number, message: Uint8Array): Buffer {
  const head = Buffer.from([...tag(number, WIRE_TYPE.lengthDelimited), ...varint(message.length)])
  return Buffer.concat([head, message])
}

/** The fields of a message in the order in which they were written. */
export function readFields(message: Uint8Array): readonly Field[] {
  const fields: Field[] = []
  let offset = 0

  function take(length: number): Uint8Array {
    if (offset + length > message.length) throw new Error(`The protobuf message ends within a field, at ${offset}.`)
    offset += length
    return message.subarray(offset - length, offset)
  }

  function takeVarint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const [octet = 0] = take(1)
      value += (octet & 0x7f) * factor
      if (octet < 0x80) return value
    }
  }

  function takeValue(wireType: number): number | Uint8Array {
    switch (wireType) {
      case WIRE_TYPE.varint:
        return takeVarint()
      case WIRE_TYPE.fixed64:
        return take(8)
      case WIRE_TYPE.lengthDelimited:
        return take(takeVarint())
      case WIRE_TYPE.fixed32:
        return take(4)
      default:
        throw new Error(`The protobuf message has a field of the unknown wire type ${wireType}.`)
    }
  }

  while (offset < message.length) {
    const key = takeVarint()
    fields.push({ number: key >>> 3, value: takeValue(key & 0b111) })
  }
  return fields
}

function tag(number: number, wireType: number): readonly number[] {
  return varint((number << 3) | wireType)
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [0x80 | (value % 0x80), ...varint(Math.floor(value / 0x80))]
}
