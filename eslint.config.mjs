import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const vagueNames = [
  {
    selector: ':matches(ClassDeclaration, ClassExpression)[id.name=/(?:Service|Manager|Helper|Utils?|Base|Impl)$/]',
    message: 'Name the class after its role in the words of the field: handler, repository, projection, policy.',
  },
  {
    selector: 'TSInterfaceDeclaration[id.name=/^I[A-Z][a-z]/]',
    message: 'Name an interface like any other type, without a leading I.',
  },
];

const waiting = [
  {
    selector: ':matches(FunctionDeclaration, FunctionExpression, ArrowFunctionExpression)[async=true]',
    message: 'The domain never waits: what it needs is loaded before it decides.',
  },
];

const outsideWorld = [
  'Buffer',
  'console',
  'fetch',
  'performance',
  'process',
  'setImmediate',
  'setInterval',
  'setTimeout',
];

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', '.batchwise/', 'test/architecture/fixtures/']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-restricted-syntax': ['error', ...vagueNames],
    },
  },
  {
    files: ['src/kernel/**/*.ts', 'src/*/contract/**/*.ts', 'src/*/domain/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', ...vagueNames, ...waiting],
      'no-restricted-globals': ['error', ...outsideWorld],
    },
  },
  {
    // Tests look into JSON bodies, spy on methods, and stand in for what is asynchronous.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    rules: { 'no-unused-vars': 'error', 'no-var': 'error', 'prefer-const': 'error' },
  },
);
