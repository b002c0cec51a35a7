const HOURS: Readonly<Record<string, number>> = { h: 1, d: 24, w: 168 }

/** `90d`, `12w` or `36h` in milliseconds; undefined for any other text. */
export function parseAge(text: string): number | undefined {
  const [, amount, unit] = /^([1-9]\d{0,4})([hdw])$/.exec(text) ?? []
  const hours = HOURS[unit ?? '']
  return amount === undefined || hours === undefined ? undefined : Number(amount) * hours * 3_600_000
}
