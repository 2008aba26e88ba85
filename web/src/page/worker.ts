/** The worker of browser mode: loads the model, then answers the newest question and drops the older ones. */
import { agree, DEFAULT_PREDICTOR, Lexicon, OrtBackend, Predictor, stepsMs, Tokenizer, type OrtModule, type Provider } from "../engine";
import { makeBar } from "./suggest";
import { addressOf, CACHE, type FromWorker, type ToWorker, type WebManifest } from "./worker_messages";

type Question = Extract<ToWorker, { type: "suggest" }>;
const RUNTIMES: Readonly<Record<Provider, readonly [string, string]>> = {
  wasm: ["runtime/ort.wasm.bundle.min.mjs", "runtime/ort-wasm-simd-threaded.wasm"],
  webgpu: ["runtime/ort.webgpu.bundle.min.mjs", "runtime/ort-wasm-simd-threaded.asyncify.wasm"],
};

const tell = (message: FromWorker): void => self.postMessage(message);
const base = new URL(".", self.location.href);

let predictor: Predictor | null = null;
let lexicon: Lexicon;
let numSlots = 3;
let waiting: Question | null = null;
let isBusy = false;

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "open") {
    numSlots = data.numSlots;
    open().catch((error: unknown) => tell({ type: "failed", message: `The model cannot be opened: ${String(error)}` }));
  } else {
    waiting = data;
    void answerAll();
  }
};

async function answerAll(): Promise<void> {
  if (isBusy || !predictor) return;
  isBusy = true;
  try {
    for (let question = take(); question; question = take()) {
      const made = await makeBar(predictor, lexicon, question.revision, question.before, question.shift, numSlots);
      if (waiting) continue;
      tell({ type: "bar", bar: made.bar });
      await new Promise((resolve) => setTimeout(resolve)); // a key that came meanwhile goes first
      if (waiting) continue;
      const bar = await made.ghost();
      if (bar.ghost && !waiting) tell({ type: "bar", bar });
    }
  } catch (error) {
    predictor?.forget();
    tell({ type: "failed", message: `No suggestions: ${String(error)}` });
  } finally {
    isBusy = false;
  }
}

function take(): Question | null {
  const question = waiting;
  waiting = null;
  return question;
}

async function open(): Promise<void> {
  const manifest = (await (await get("web.json")).json()) as WebManifest;
  const bytes = async (name: string): Promise<Uint8Array> =>
    new Uint8Array(await (await getOnce(addressOf(manifest, name))).arrayBuffer());
  const json = async (name: string): Promise<never> => JSON.parse(new TextDecoder().decode(await bytes(name))) as never;
  const [graph, config, pieces, words] = await Promise.all([
    bytes("model/model.onnx"), json("model/config.json"), json("model/tokenizer.json"), bytes("model/lexicon.bin"),
  ]);
  const load = async (provider: Provider): Promise<OrtBackend> => {
    const [module, binary] = RUNTIMES[provider];
    const ort = (await import(new URL(addressOf(manifest, module), base).href)) as OrtModule;
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await bytes(binary);
    return OrtBackend.open(ort, graph, config, provider);
  };
  const tokenizer = new Tokenizer(pieces);
  lexicon = new Lexicon(words.buffer as ArrayBuffer);
  // One more is looked for than is shown: some may not be offered.
  const use = (backend: OrtBackend): void => {
    predictor = new Predictor(backend, tokenizer, { ...DEFAULT_PREDICTOR, numSuggestions: numSlots + 1 });
    tell({ type: "ready", message: `The model runs in this browser (${backend.provider === "wasm" ? "WebAssembly" : "WebGPU"}).` });
    void answerAll();
  };
  const wasm = await load("wasm");
  use(wasm);
  if (!manifest.webgpu || !("gpu" in navigator)) return;
  const gpu = await load("webgpu").catch(() => null); // a browser without a usable GPU
  if (!gpu) return;
  // WASM is timed between two answers; the GPU beside them, for its first steps may take seconds.
  while (isBusy) await new Promise((resolve) => setTimeout(resolve, 50));
  isBusy = true;
  const clock = (): number => performance.now();
  const wasmMs = await stepsMs(wasm, clock).finally(() => (isBusy = false));
  predictor!.forget();
  void answerAll();
  let gpuMs = await stepsMs(gpu, clock, wasmMs);
  if (gpuMs < wasmMs) {
    while (isBusy) await new Promise((resolve) => setTimeout(resolve, 50));
    isBusy = true;
    const isSame = await agree(wasm, gpu).finally(() => (isBusy = false));
    predictor!.forget();
    if (isSame) use(gpu);
    else gpuMs = Infinity; // a provider that computes something else
  }
  tell({ type: "timed", wasmMs, gpuMs });
}

/** What never changes at its address is fetched once; the service worker finds it in the same cache. */
async function getOnce(address: string): Promise<Response> {
  if (!("caches" in self)) return get(address); // plain HTTP from elsewhere
  const cache = await caches.open(CACHE);
  const kept = await cache.match(new URL(address, base));
  if (kept) return kept;
  const response = await get(address);
  await cache.put(new URL(address, base), response.clone());
  return response;
}

async function get(name: string): Promise<Response> {
  const response = await fetch(new URL(name, base));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response;
}
