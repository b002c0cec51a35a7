import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface BundledModule {
  readonly nameForCondition?: string | null
  readonly modules?: readonly BundledModule[]
}

/**
 * The licences of every package in the bundles, by webpack's statistics of each; ncc's own list leaves out the packages whose
 * modules webpack joined into one.
 */
export function licensesOf(statistics: readonly string[]): string {
  const modules = statistics.flatMap((text) => (JSON.parse(text) as { readonly modules: BundledModule[] }).modules)
  const folders = new Set(modules.flatMap(packageFolders))
  const texts = new Map([...folders].map((folder) => licenseOf(folder)))
  return [...texts.keys()]
    .sort()
    .map((title) => `${title}\n\n${texts.get(title) ?? ''}\n`)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function packageFolders(module: BundledModule): readonly string[] {
  const folder = /^.*[\\/]node_modules[\\/](@[^\\/]+[\\/])?[^\\/]+/.exec(module.nameForCondition ?? '')?.[0]
  return [...(folder === undefined ? [] : [folder]), ...(module.modules ?? []).flatMap(packageFolders)]
}

function licenseOf(folder: string): readonly [title: string, text: string] {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
  const title = `${String(manifest['name'])} ${String(manifest['version'])} (${String(manifest['license'])})`
  const file = readdirSync(folder).find((name) => /^licen[cs]e(\.|$)/i.test(name))
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8')
  return [title, text.replaceAll('\r\n', '\n').trim()]
}
