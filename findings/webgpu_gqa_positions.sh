#!/usr/bin/env bash
# onnxruntime-web 1.30.0: GroupQueryAttention with do_rotary and an explicit `position_ids` input rotates by those on the
# WASM (CPU) provider, and by the places in the cache on the WebGPU provider, without an error. A tree of tokens, in which
# siblings share a position, gets other numbers there. RotaryEmbedding before the node, with do_rotary=0, agrees on both.
#
# Needs node, npm, python3 and Chromium (CHROMIUM=/path); WebGPU is SwiftShader's, so no GPU is needed. About a minute.
set -euo pipefail
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 numpy
npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-web@1.30.0 playwright-core@1.65.1 >/dev/null
cat >make.py <<'PY'
import numpy as np
from onnx import TensorProto, helper, numpy_helper

HEADS, WIDTH, SLOTS = 2, 32, 16
angles = np.arange(SLOTS)[:, None] * 10000.0 ** (-np.arange(0, WIDTH, 2) / WIDTH)
tables = [numpy_helper.from_array(f(angles).astype(np.float32), n) for f, n in ((np.cos, "cos"), (np.sin, "sin"))]
value = helper.make_tensor_value_info
inputs = [value(n, TensorProto.FLOAT, [1, "T", HEADS * WIDTH]) for n in ("q", "k", "v")]
inputs += [value(n, TensorProto.FLOAT, [1, HEADS, SLOTS, WIDTH]) for n in ("past_k", "past_v")]
inputs += [value("last", TensorProto.INT32, [1]), value("total", TensorProto.INT32, []), value("positions", TensorProto.INT64, [1, "T"])]
outputs = [value("out", TensorProto.FLOAT, [1, "T", HEADS * WIDTH])]
outputs += [value(n, TensorProto.FLOAT, [1, HEADS, SLOTS, WIDTH]) for n in ("new_k", "new_v")]
for name, inside in (("inside", True), ("before", False)):
    nodes, q, k, rotary = [], "q", "k", ["cos", "sin", "positions"]
    if not inside:
        rotary = []
        for x in "qk":
            nodes.append(helper.make_node("RotaryEmbedding", [x, "positions", "cos", "sin"], [f"{x}r"], domain="com.microsoft", num_heads=HEADS))
        q, k = "qr", "kr"
    nodes.append(helper.make_node("GroupQueryAttention", [q, k, "v", "past_k", "past_v", "last", "total", *rotary], ["out", "new_k", "new_v"],
                                  domain="com.microsoft", num_heads=HEADS, kv_num_heads=HEADS, do_rotary=int(inside)))
    graph = helper.make_graph(nodes, name, inputs, outputs, tables)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    open(f"{name}.onnx", "wb").write(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
PY
venv/bin/python make.py
cat >run.mjs <<'JS'
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { chromium } from "playwright-core";
const types = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const server = createServer((request, response) => {
  const path = new URL(request.url, "http://x").pathname;
  const file = path.startsWith("/ort") ? `node_modules/onnxruntime-web/dist${path}` : `.${path}`;
  if (path === "/") response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>");
  else if (!existsSync(file)) response.writeHead(404).end();
  else response.writeHead(200, { "content-type": types[path.slice(path.lastIndexOf("."))] ?? "application/octet-stream" }).end(readFileSync(file));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const args = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.argv[2], args });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const moved = await page.evaluate(async () => {
  const noise = (size, seed) => Float32Array.from({ length: size }, (_, i) => Math.sin(seed + i * 1.7));
  const answers = {};
  for (const provider of ["wasm", "webgpu"]) {
    const ort = await import(`${location.origin}/ort.${provider}.bundle.min.mjs`);
    ort.env.wasm.numThreads = 1;
    for (const name of ["inside", "before"]) {
      const model = new Uint8Array(await (await fetch(`${name}.onnx`)).arrayBuffer());
      const session = await ort.InferenceSession.create(model, { executionProviders: [provider] });
      const run = async (positions) => {
        const float = (seed, dims) => new ort.Tensor("float32", noise(dims.reduce((a, b) => a * b), seed), dims);
        const out = await session.run({
          q: float(1, [1, 2, 64]), k: float(2, [1, 2, 64]), v: float(3, [1, 2, 64]),
          past_k: float(4, [1, 2, 16, 32]), past_v: float(5, [1, 2, 16, 32]),
          last: new ort.Tensor("int32", Int32Array.of(7), [1]), total: new ort.Tensor("int32", Int32Array.of(8), []),
          positions: new ort.Tensor("int64", BigInt64Array.from(positions, BigInt), [1, 2]),
        });
        return out.out.data;
      };
      const [chain, siblings] = [await run([6, 7]), await run([6, 6])];
      answers[`${provider}, rotated ${name} the attention`] = Math.max(...chain.map((x, i) => Math.abs(x - siblings[i]))) > 1e-4;
    }
  }
  return answers;
});
for (const [where, isMoved] of Object.entries(moved)) console.log(`${where}: positions ${isMoved ? "count" : "are ignored"}`);
await browser.close();
server.close();
JS
echo "onnxruntime-web $(node -p 'require("./node_modules/onnxruntime-web/package.json").version'), $("$chromium" --version)"
seen=$(node run.mjs "$chromium")
echo "$seen"
expected="wasm, rotated inside the attention: positions count
wasm, rotated before the attention: positions count
webgpu, rotated inside the attention: positions are ignored
webgpu, rotated before the attention: positions count"
[ "$seen" = "$expected" ] || { echo "behaves otherwise now"; exit 1; }
