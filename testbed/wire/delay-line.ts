/** Does one thing after the other, each some time after it was pushed. */
export class DelayLine {
  readonly #delayMs: number
  #queue: { readonly due: number; readonly work: () => void }[] = []
  #timer: NodeJS.Timeout | undefined

  /** Without a delay, what is pushed is done at once. */
  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  /** Nothing that is pushed later overtakes what takes `moreMs` longer. */
  push(work: () => void, moreMs = 0): void {
    const delay = this.#delayMs + moreMs
    if (delay === 0) {
      work()
      return
    }
    this.#queue.push({ due: performance.now() + delay, work })
    this.#timer ??= this.#sleep()
  }

  /** What is left is not done any more. */
  close(): void {
    clearTimeout(this.#timer)
    this.#queue = []
  }

  #sleep(): NodeJS.Timeout | undefined {
    const [next] = this.#queue
    return next && setTimeout(() => this.#doWhatIsDue(), Math.max(1, Math.floor(next.due - performance.now())))
  }

  #doWhatIsDue(): void {
    const soon = performance.now() + EARLY_MS
    const later = this.#queue.findIndex(({ due }) => due > soon)
    const due = this.#queue.splice(0, later < 0 ? this.#queue.length : later)
    for (const { work } of due) work()
    this.#timer = this.#sleep()
  }
}

/** Timers know whole milliseconds only and are rather late than early, so that what is due within the next one is done too. */
const EARLY_MS = 1
