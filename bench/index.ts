import { reencryptBench } from './reencrypt.ts'
import { startBench } from './start.ts'

/** One file a bench; each prints a table, and with `--json FILE` writes its figures. */
const BENCHES: Readonly<Record<string, (args: string[]) => Promise<void>>> = {
  start: startBench,
  reencrypt: reencryptBench
}

const [name, ...args] = process.argv.slice(2)
const chosen = name === undefined ? Object.values(BENCHES) : [BENCHES[name]]
for (const bench of chosen) {
  if (bench === undefined) {
    console.error(`npm run bench -- [${Object.keys(BENCHES).join('|')}] [--json FILE]`)
    process.exit(2)
  }
  await bench(args)
}
