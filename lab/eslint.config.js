import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser, ...globals.worker } },
    rules: {
      "prefer-const": "error", "no-var": "error", eqeqeq: "error", "object-shorthand": "error",
      "max-len": ["error", { code: 120 }], "no-shadow": "off",
    },
  },
  { files: ["*.js", "test/**", "tools/**"], languageOptions: { globals: globals.node } },
];
