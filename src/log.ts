/** Where the run's live log goes. A group is a phase: the log reads as a table of contents. */
export interface Log {
  info(line: string): void
  debug(line: string): void
  group<T>(title: string, body: () => Promise<T>): Promise<T>
}
