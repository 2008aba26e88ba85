// Builds the page into keyboard_lm/web, which the wheel carries: node build.mjs [OUTPUT]
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2] ?? join(here, "..", "keyboard_lm", "web");
mkdirSync(output, { recursive: true });

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
// The engine is a module of its own, which page, worker and tests share.
const sharesEngine = {
  name: "shares-engine",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/engine$/ }, () => ({ path: "./engine.js", external: true }));
  },
};
await build({ ...common, entryPoints: ["src/engine.ts"], outfile: join(output, "engine.js") });
for (const name of ["app", "worker", "sw"]) {
  await build({ ...common, plugins: [sharesEngine], entryPoints: [`src/page/${name}.ts`], outfile: join(output, `${name}.js`) });
}
for (const name of readdirSync(join(here, "page"))) copyFileSync(join(here, "page", name), join(output, name));

// The layouts are the engine's; a Python test compares what is read here with what the engine reads.
const layouts = {};
const folder = join(here, "..", "keyboard_lm", "touch", "layouts");
for (const file of readdirSync(folder).sort()) {
  const toml = readFileSync(join(folder, file), "utf8");
  const rows = [...toml.matchAll(/\{ keys = "([^"]+)", left = ([\d.]+) \}/g)].map(([, keys, left]) => ({ keys, left: Number(left) }));
  const [, left, width] = /^space = \{ left = ([\d.]+), width = ([\d.]+) \}/m.exec(toml);
  layouts[file.replace(".toml", "")] = { rows, space: { left: Number(left), width: Number(width) } };
}
writeFileSync(join(output, "layouts.json"), JSON.stringify(layouts) + "\n");
