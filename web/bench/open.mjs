// An exported folder, opened in Node as the page's worker opens it.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join, resolve } from "node:path";

export async function openFolder(folder) {
  const at = (name) => join(resolve(folder), name);
  const engine = await import(pathToFileURL(at("engine.js")));
  const json = (name) => JSON.parse(readFileSync(at(name), "utf8"));
  const pieces = json("model/tokenizer.json");
  const tokenizer = new engine.Tokenizer(pieces);
  const config = json("model/config.json");
  const lexicon = new engine.Lexicon(new Uint8Array(readFileSync(at("model/lexicon.bin"))).buffer);
  const backend = async () => {
    const ort = await import(pathToFileURL(at("runtime/ort.wasm.bundle.min.mjs")));
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = readFileSync(at("runtime/ort-wasm-simd-threaded.wasm"));
    return engine.OrtBackend.open(ort, readFileSync(at("model/model.onnx")), config);
  };
  return { engine, tokenizer, config, scores: pieces.scores, lexicon, backend };
}
