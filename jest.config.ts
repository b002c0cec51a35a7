/** One suite: files whose tests need the same things of a machine. Its time limit is in the npm script of its name. */
function suite(displayName: string, ...patterns: readonly string[]) {
  return {
    displayName,
    testMatch: patterns.map((pattern) => `<rootDir>/test/${pattern}.test.ts`),
    extensionsToTreatAsEsm: ['.ts'],
    modulePathIgnorePatterns: ['<rootDir>/out/'],
    transform: { '\\.ts$': '<rootDir>/test/strip-types.ts' }
  }
}

export default {
  projects: [
    suite('unit', 'unit/**/*'),
    // The built bundle on the test bed, in Node alone.
    suite('bed', 'action/**/*', 'conformance/embedded*'),
    // Real etcd and kube-apiservers.
    suite('cluster', 'cluster/**/*', 'conformance/real*'),
    // The workflows: checked, and run by nektos/act with the built bundle on the test bed.
    suite('workflows', 'workflows/**/*')
  ],
  maxWorkers: 2
}
