import { setFlagsFromString } from 'node:v8'

// Hardly anything outlives a request, so a small heap costs little, while a runner may be small too. Imported before all else:
// what is loaded first would make the heap grow, and it does not shrink again.
setFlagsFromString('--semi-space-growth-factor=1')
setFlagsFromString('--heap-growing-percent=20')
