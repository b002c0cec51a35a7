import { readFileSync, writeFileSync } from 'node:fs'

/** The part of a package-lock.json that is read and written here. */
interface LockedPackage {
  readonly version?: string
  readonly dev?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const PLATFORM =
  /-(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|ia32|loong64|ppc64|riscv64|s390x|x64)(?:-(\w+))?$/

/**
 * Adds to package-lock.json the optional packages for other platforms that are not in it. npm leaves out those that the
 * registry at hand does not serve, and then `npm ci` refuses the file. It installs none of them here, so no hash is needed.
 */
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, LockedPackage> }
for (const [path, owner] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`
    if (place in lock.packages || `${path}/${place}` in lock.packages) continue
    const [, os, cpu, abi] = PLATFORM.exec(name) ?? []
    if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
      throw new Error(`Which platform ${name} is for can’t be told from its name.`)
    }
    const libc = os !== 'linux' || abi === undefined ? undefined : abi.startsWith('musl') ? 'musl' : 'glibc'
    const entry = {
      version,
      cpu: [cpu],
      ...(owner.dev === true && { dev: true }),
      ...(libc && { libc: [libc] }),
      optional: true,
      os: [os]
    }
    lock.packages[place] = entry
    console.log(`Added ${name}`)
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
writeFileSync('package-lock.json', `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
