/** The few ASN.1 types in DER that an X.509 certificate is made of. */

const encode = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(content.length)]), content])
}

const lengthOctets = (length: number): readonly number[] => {
  if (length < 0x80) return [length]
  const octets = bigEndian(length)
  return [0x80 | octets.length, ...octets]
}

const bigEndian = (value: number): readonly number[] =>
  value < 0x100 ? [value] : [...bigEndian(Math.floor(value / 0x100)), value % 0x100]

export const sequence = (...items: readonly Uint8Array[]): Buffer => encode(0x30, ...items)

export const set = (...items: readonly Uint8Array[]): Buffer => encode(0x31, ...items)

export const boolean = (value: boolean): Buffer => encode(0x01, Buffer.from([value ? 0xff : 0x00]))

/** A positive integer from its big-endian octets. */
export const integer = (octets: Uint8Array): Buffer => {
  const negative = ((octets[0] ?? 0) & 0x80) !== 0
  return encode(0x02, negative ? Buffer.concat([Buffer.from([0]), octets]) : octets)
}

export const bitString = (octets: Uint8Array, unusedBits = 0): Buffer => encode(0x03, Buffer.from([unusedBits]), octets)

export const octetString = (octets: Uint8Array): Buffer => encode(0x04, octets)

export const utf8String = (text: string): Buffer => encode(0x0c, Buffer.from(text, 'utf8'))

export const objectIdentifier = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return encode(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

const base128 = (value: number): readonly number[] => {
  const higher = (rest: number): readonly number[] => (rest === 0 ? [] : [...higher(rest >> 7), 0x80 | (rest & 0x7f)])
  return [...higher(value >> 7), value & 0x7f]
}

/** UTCTime, which stands for the years 1950 to 2049. */
export const utcTime = (date: Date): Buffer => {
  const digits = date.toISOString().replaceAll(/\D/g, '').slice(2, 14)
  return encode(0x17, Buffer.from(`${digits}Z`, 'ascii'))
}

/** `[number]` around a whole encoding. */
export const explicit = (number: number, encoding: Uint8Array): Buffer => encode(0xa0 | number, encoding)

/** `[number]` in place of the tag of a primitive type. */
export const implicit = (number: number, octets: Uint8Array): Buffer => encode(0x80 | number, octets)
