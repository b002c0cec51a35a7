/** The same numbers for the same seed: for demos and tests that must be repeatable, never for keys. */
export interface PseudoRandom {
  /** An integer from 0 to below the limit. */
  below(limit: number): number
  pick<T>(from: readonly T[]): T
  /** Letters and digits. */
  text(length: number): string
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ab'

/** The generator mulberry32. */
export function pseudoRandom(seed: number): PseudoRandom {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    below: (limit) => next() % limit,
    pick(from) {
      const picked = from[next() % from.length]
      if (picked === undefined) throw new Error('nothing to pick from')
      return picked
    },
    text(length) {
      const octets = Buffer.alloc(length)
      for (let index = 0; index < length;) {
        for (let bits = next(), taken = 0; taken < 5 && index < length; taken++, bits >>>= 6) {
          octets[index++] = alphabet.charCodeAt(bits & 63)
        }
      }
      return octets.toString('latin1')
    }
  }
}
