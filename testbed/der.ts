/** The few ASN.1 types, in DER, that an X.509 certificate is made of. */

export function sequence(...items: readonly Uint8Array[]): Buffer {
  return encode(0x30, ...items)
}

export function set(...items: readonly Uint8Array[]): Buffer {
  return encode(0x31, ...items)
}

export function boolean(value: boolean): Buffer {
  return encode(0x01, Buffer.from([value ? 0xff : 0x00]))
}

/** A positive integer from its big-endian octets. */
export function integer(octets: Uint8Array): Buffer {
  const looksNegative = ((octets[0] ?? 0) & 0x80) !== 0
  return encode(0x02, looksNegative ? Buffer.concat([Buffer.from([0]), octets]) : octets)
}

export function bitString(octets: Uint8Array, unusedBits = 0): Buffer {
  return encode(0x03, Buffer.from([unusedBits]), octets)
}

export function octetString(octets: Uint8Array): Buffer {
  return encode(0x04, octets)
}

export function utf8String(text: string): Buffer {
  return encode(0x0c, Buffer.from(text, 'utf8'))
}

export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return encode(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

/** UTCTime, which stands for the years 1950 to 2049. */
export function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/\D/g, '').slice(2, 14)
  return encode(0x17, Buffer.from(`${digits}Z`, 'ascii'))
}

/** `[number]` around a whole encoding. */
export function explicit(number: number, encoding: Uint8Array): Buffer {
  return encode(0xa0 | number, encoding)
}

/** `[number]` in place of the tag of a primitive type. */
export function implicit(number: number, octets: Uint8Array): Buffer {
  return encode(0x80 | number, octets)
}

function encode(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(content.length)]), content])
}

function lengthOctets(length: number): readonly number[] {
  if (length < 0x80) return [length]
  const octets = bigEndian(length)
  return [0x80 | octets.length, ...octets]
}

function bigEndian(value: number): readonly number[] {
  return value < 0x100 ? [value] : [...bigEndian(value >> 8), value & 0xff]
}

function base128(value: number): readonly number[] {
  return [...continued(value >> 7), value & 0x7f]
}

function continued(value: number): readonly number[] {
  return value === 0 ? [] : [...continued(value >> 7), 0x80 | (value & 0x7f)]
}
