import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

const SDK = '^(@azure|@actions|@kubernetes)/'

/** Modules of Node that touch the world outside; the pure rooms are given what they need. */
const WORLD = '^node:(child_process|dns|fs|http|http2|https|net|os|process|timers|tls|worker_threads)(/|$)'

/** @actions/core reads inputs and writes outputs, which only the entry of an action knows the names of. */
const TOOLKIT = { regex: '^@actions/core$', message: 'Only the entry of an action talks to the runner.' }

/** Forbids every relative import out of a room but these. */
function only(...allowed) {
  const pattern = allowed.map((path) => path.replace('.', '\\.').replace(/([^/])$/, '$1$')).join('|')
  return { regex: `^\\.\\./(?!${pattern})`, message: `From here only ${allowed.join(', ')} may be imported.` }
}

function imports(files, ...patterns) {
  return { files, rules: { 'no-restricted-imports': ['error', { patterns }] } }
}

const PURE = [
  { regex: SDK, message: 'Decisions know no SDK.' },
  { regex: WORLD, message: 'Decisions do no I/O.' }
]

export default defineConfig(
  globalIgnores(['dist/', 'out/', 'coverage/']),
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/ban-ts-comment': [
        'error',
        { 'ts-expect-error': true, 'ts-ignore': true, 'ts-nocheck': true }
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // A number in a message reads as it should.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => doIt()` and `return doIt()` are shorter than their blocks, and say the same.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true }
      ],
      // Our objects are closures over their state, not classes: their methods may be taken apart.
      '@typescript-eslint/unbound-method': 'off',
      // Who answers a promise at once is `async` all the same, so that what it throws is a rejection.
      '@typescript-eslint/require-await': 'off',
      // A listener that does nothing on purpose is written as that.
      '@typescript-eslint/no-empty-function': ['error', { allow: ['arrowFunctions', 'methods'] }],
      // `while (true)` with a return inside is the plainest form of a retry.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' }
      ],
      // An unused parameter keeps its place in a signature when its name starts with an underscore, as in tsc.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // tsconfig's noPropertyAccessFromIndexSignature asks for the brackets that this rule takes away.
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }]
    }
  },

  // The arrows of the design: index → main → operations → model; main → observe, steps → azure, kubernetes; report reads model.
  imports(['src/**/*.ts'], TOOLKIT),
  imports(['src/index.ts', 'src/*-action/index.ts']),
  imports(['src/matrix-action/matrix.ts'], only('errors.ts', 'model/', 'desired-state.ts'), ...PURE),
  imports(['src/desired-state.ts'], TOOLKIT, ...PURE),
  imports(['src/model/**/*.ts'], only('errors.ts'), ...PURE),
  imports(['src/preflight/**/*.ts'], only('errors.ts', 'model/', 'request.ts'), ...PURE),
  imports(
    ['src/operations/**/*.ts'],
    only('errors.ts', 'model/', 'preflight/', 'request.ts', 'azure/clouds.ts'),
    ...PURE
  ),
  imports(['src/observe/*.ts'], TOOLKIT, {
    regex: '/(report|steps)/|/(index|journal|main|plan)\\.ts$',
    message: 'What is observed knows nothing of what is done about it, or said.'
  }),
  imports(['src/report/*.ts'], TOOLKIT, only('errors.ts', 'model/')),
  imports(['src/report/*/*.ts'], TOOLKIT, {
    regex: '^\\.\\./\\.\\./(?!errors\\.ts$|model/)',
    message: 'Reports read only the model.'
  }),
  imports(['src/azure/**/*.ts', 'src/github/**/*.ts', 'src/kubernetes/**/*.ts'], TOOLKIT, {
    regex: '/(observe|operations|preflight|report|steps)/|/(index|main)\\.ts$',
    message: 'The edges know nothing of decisions, steps and reports.'
  })
)
