import eslint from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

/** What the scripts of the console's page use of the browser. */
const BROWSER = Object.fromEntries(
  [
    ...["AbortController", "Event", "FormData", "addEventListener", "document", "fetch"],
    ...["history", "location", "navigator", "sessionStorage"],
  ].map((name) => [name, "readonly"]),
);

export default defineConfig(
  { ignores: ["dist/", "api/", "coverage/", "node_modules/", ".mutant/"] },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ["eslint.config.js"] } },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "no-restricted-syntax": [
        "error",
        {
          selector: "MemberExpression[property.name='pathname'] > NewExpression.object MetaProperty",
          message: "The pathname of a URL has %20 for a space: use fileURLToPath.",
        },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-import-type-side-effects": "error",
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true } }],
    },
  },
  {
    // LangChain's types name classes where it takes any object of their shape, as its users give it.
    files: ["test/**", "examples/**", "eval/**", "bench/**", "matrix/**", "scripts/**", "tooling/**"],
    rules: { "@typescript-eslint/no-unsafe-class-instance-assignment": "off" },
  },
  {
    // The browser's own: no build stands between it and the page.
    files: ["src/console/page/*.js"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: BROWSER },
  },
  {
    files: ["src/**"],
    rules: { "no-console": "error", "no-restricted-globals": ["error", "process"] },
  },
  {
    // The entry of the bin, which hands the process to the rest.
    files: ["src/cli/main.ts"],
    rules: { "no-restricted-globals": "off" },
  },
  {
    files: ["*.config.ts", "eslint.config.js", "test/support/global-setup.ts"],
    rules: { "no-restricted-exports": "off" },
  },
);
