/** Types are stripped only: tsc checks them, and modules stay ES modules. */
const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' }, sourceMaps: 'inline' }
  ]
}

/** One suite: files whose tests need the same things of a machine. Its time limit is in the npm script of its name. */
function suite(displayName, ...patterns) {
  return {
    displayName,
    testMatch: patterns.map((pattern) => `<rootDir>/test/${pattern}.test.ts`),
    extensionsToTreatAsEsm: ['.ts'],
    modulePathIgnorePatterns: ['<rootDir>/out/'],
    transform
  }
}

export default {
  projects: [
    suite('unit', 'unit/**/*'),
    // The built bundle on the test bed, in Node alone.
    suite('bed', 'action/**/*', 'conformance/embedded*'),
    // Real etcd and kube-apiservers.
    suite('cluster', 'cluster/**/*', 'conformance/real*')
  ],
  maxWorkers: 2
}
