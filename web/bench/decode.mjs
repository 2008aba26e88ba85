// What a step of the network costs in onnxruntime-web: the graph that ships against the one that export-web writes.
//
//   node bench/decode.mjs SHIPPED.onnx WEB/model.onnx config.json      # one thread, in turns, CPU time of the process
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web/wasm";

const [shippedFile, webFile, configFile] = process.argv.slice(2);
const config = JSON.parse(readFileSync(configFile, "utf8"));
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const CACHED = 40; // tokens of context behind which a step is taken
const ROUNDS = 40;

async function open(file, isFolded) {
  const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
  if (isFolded) options.extra = { session: { disable_quant_qdq: "1" } };
  const begun = process.cpuUsage();
  const session = await ort.InferenceSession.create(readFileSync(file), options);
  return { session, loadMs: cpuMs(begun) };
}

function cpuMs(since) {
  const used = process.cpuUsage(since);
  return (used.user + used.system) / 1000;
}

function feeds(numNew) {
  const length = CACHED + numNew;
  const ids = Array.from({ length: numNew }, (_, i) => BigInt(20 + i));
  const all = {
    token_ids: new ort.Tensor("int64", BigInt64Array.from(ids), [1, numNew]),
    positions: new ort.Tensor("int64", BigInt64Array.from(ids, (_, i) => BigInt(CACHED + i)), [1, numNew]),
    attention_bias: new ort.Tensor("float32", new Float32Array(numNew * length), [1, 1, numNew, length]),
    last_slot: new ort.Tensor("int32", Int32Array.of(length - 1), [1]),
    num_slots: new ort.Tensor("int32", Int32Array.of(length), []),
    rows: new ort.Tensor("int64", BigInt64Array.from(ids, (_, i) => BigInt(i)), [numNew]),
  };
  config.num_kv_heads.forEach((heads, layer) => {
    const shape = [1, heads, config.max_context_length + 1, config.head_dim];
    const size = shape.reduce((a, b) => a * b);
    for (const kind of ["key", "value"]) all[`past_${kind}.${layer}`] = new ort.Tensor("float32", new Float32Array(size), shape);
  });
  return all;
}

const graphs = { shipped: await open(shippedFile, false), web: await open(webFile, true) };
const table = {};
for (const numNew of [1, 4, 8, 16]) {
  const given = feeds(numNew);
  const times = { shipped: [], web: [] };
  for (let round = 0; round < ROUNDS + 3; round++) {
    for (const [name, { session }] of Object.entries(graphs)) {
      const begun = process.cpuUsage();
      await session.run(given);
      if (round >= 3) times[name].push(cpuMs(begun));
    }
  }
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  table[`T=${numNew}`] = { shipped_ms: median(times.shipped), web_ms: median(times.web) };
  table[`T=${numNew}`].ratio = table[`T=${numNew}`].shipped_ms / table[`T=${numNew}`].web_ms;
}
console.table(table);
const loads = { shipped: graphs.shipped.loadMs, web: graphs.web.loadMs };
console.log(JSON.stringify({ benchmark: "web_decode", load_ms: loads, steps: table }));
process.exit(0);
