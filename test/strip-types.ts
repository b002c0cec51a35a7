import { stripTypeScriptTypes } from 'node:module'

/** Jest's transformer: what Node does to a .ts file that it runs, so that lines and columns stay where they are. */
export default {
  process: (source: string) => ({ code: stripTypeScriptTypes(source) })
}
