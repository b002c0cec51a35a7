/** `14:32:05 UTC` */
export function sayTime(time: number): string {
  return `${new Date(time).toISOString().slice(11, 19)} UTC`
}
