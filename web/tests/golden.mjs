// Where the golden files and the built engine are.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);

export const golden = (name) => JSON.parse(readFileSync(new URL(`tests/golden/${name}`, root), "utf8"));

export const engine = await import(process.env.KEYBOARD_LM_ENGINE ?? fileURLToPath(new URL("keyboard_lm/web/engine.js", root)));
