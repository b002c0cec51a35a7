import { setTimeout as sleep } from 'node:timers/promises'

/** Until it holds: the real API server's caches and controllers follow a little behind. */
export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it never came to hold')
    await sleep(50)
  }
}
