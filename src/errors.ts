export type Severity = 'refusal' | 'warning' | 'note'
