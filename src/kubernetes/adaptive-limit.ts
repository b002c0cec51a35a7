import { TransportError, type Result } from './transport.ts'

/** kube-apiserver works on 200 mutating requests at once. Those on their way to it and back count here too. */
const MOST = 200
const FIRST = 8
const LEAST = 2

/** Requests that wait in the API server rather than being worked on: enough to keep it busy, and few for others to wait behind. */
const SHORTEST_QUEUE = 110
const LONGEST_QUEUE = 130
/** What part of them is answered before others follow: requests that go out together take less work on both sides. */
const DRAINED = 2 / 3

export interface AdaptiveLimitOptions {
  readonly most?: number | undefined
  /** Milliseconds. */
  readonly now?: () => number
}

/**
 * How many requests of one walk may be under way at once. By growing latency it tells how many of them wait in a queue (TCP
 * Vegas’ rule): as long as there are few it lets more go, doubling at first; when there are many it lets fewer go; and half as
 * many when the API server says that it has too much to do. An administrator's certificate is exempt from its priority and
 * fairness, so it is for us to give way. Source: Brakmo and Peterson, TCP Vegas (1995)
 */
export class AdaptiveLimit {
  /** Requests under way at once, at most. */
  readonly most: number
  readonly #now: () => number
  #limit: number
  #doubling = true
  #lastCut = -Infinity
  /** The shortest that a round took on average: what an answer takes when nothing waits. */
  #base = Infinity
  /** What part of the requests under way waited in the last round. */
  #waiting = 0
  #round = { answers: 0, total: 0, busy: false }

  constructor({ most = MOST, now = Date.now }: AdaptiveLimitOptions = {}) {
    this.most = most
    this.#now = now
    this.#limit = Math.min(FIRST, most)
  }

  get current(): number {
    return Math.max(1, Math.floor(this.#limit))
  }

  /** Requests still under way, at most, when others follow after there were as many as may be. */
  get resumeAt(): number {
    return Math.min(this.current - 1, this.current * (1 - DRAINED * this.#waiting))
  }

  /** @param latency - of this one answer, in milliseconds. */
  onAnswer(latency: number, underWay: number): void {
    const round = this.#round
    round.answers++
    round.total += latency
    round.busy ||= underWay >= this.current
    if (round.answers < this.current) return
    this.#round = { answers: 0, total: 0, busy: false }
    this.#adapt(round.total / round.answers, round.busy)
  }

  #adapt(latency: number, busy: boolean): void {
    this.#base = Math.min(this.#base, latency)
    this.#waiting = latency > 0 ? 1 - this.#base / latency : 0
    const queue = this.#limit * this.#waiting
    if (queue > LONGEST_QUEUE) {
      this.#doubling = false
      this.#limit = Math.max(LEAST, this.#limit * 0.9)
    } else if (busy && queue < SHORTEST_QUEUE) {
      this.#limit = Math.min(this.most, this.#doubling ? this.#limit * 2 : this.#limit + 1)
    } else {
      this.#doubling = false
    }
  }

  /** Requests that were under way together fail together: that counts once. */
  onFailure(failure: Result): void {
    if (failure instanceof TransportError ? failure.code !== 'ETIMEDOUT' : ![429, 503, 504].includes(failure.status))
      return
    const now = this.#now()
    if (now - this.#lastCut < 1000) return
    this.#lastCut = now
    this.#doubling = false
    this.#limit = Math.max(Math.min(LEAST, this.most), this.#limit / 2)
  }
}
