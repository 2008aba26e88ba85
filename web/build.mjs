// Builds the page into keyboard_lm/web, which the wheel carries: node build.mjs [OUTPUT]
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2] ?? join(here, "..", "keyboard_lm", "web");

const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  absWorkingDir: here,
};
await build({ ...common, entryPoints: ["src/engine.ts"], outfile: join(output, "engine.js") });
