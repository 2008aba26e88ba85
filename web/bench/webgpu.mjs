// Which runtime the page chooses in a Chromium that has WebGPU, if only in software (SwiftShader) where there is no GPU.
//
//   keyboard-lm export-web -o FOLDER --webgpu
//   node web/bench/webgpu.mjs FOLDER [ADAPTER]      # ADAPTER: swiftshader, or "default" for the machine's own GPU
import { isReady, launch, openPage, serveFolder } from "../browser/site.mjs";

const [folder, adapter = "swiftshader"] = process.argv.slice(2);
const flags = ["--enable-unsafe-webgpu", "--enable-features=Vulkan"];
if (adapter !== "default") flags.push(`--use-webgpu-adapter=${adapter}`);
const TIMED_MS = 100000;

const site = await serveFolder(folder);
const browser = await launch(flags);
const { page, errors } = await openPage(browser);
await page.goto(`${site.url}?mode=browser`);
await isReady(page);
const found = await page.evaluate(async () => {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  return info ? `${info.vendor} ${info.architecture} ${info.description}`.trim() : null;
});
await page.waitForFunction(() => document.documentElement.dataset.timed, null, { timeout: TIMED_MS }).catch(() => null);
const timed = await page.evaluate(() => document.documentElement.dataset.timed ?? null);
await page.keyboard.type("see you tom", { delay: 70 });
await page.waitForTimeout(500);
const chosen = await page.locator("#status").textContent();
const bar = await page.locator("#bar .slot").allTextContents();
const hasFetched = site.seen.requests.some((each) => each.includes("asyncify"));
await browser.close();
await site.close();

const [wasmMs, gpuMs] = timed ? JSON.parse(timed) : [null, null]; // Infinity becomes null: given up
console.log(`adapter: ${found ?? "none"}; the runtime for GPUs was ${hasFetched ? "" : "not "}fetched`);
console.log(`steps and a tree: WASM ${wasmMs?.toFixed(1) ?? "-"} ms, WebGPU ${gpuMs?.toFixed(1) ?? "given up"}${timed ? "" : " (not timed)"}`);
console.log(`the page: ${chosen} Its bar: ${bar.join(" | ")}`);
console.log(JSON.stringify({ benchmark: "webgpu", adapter: found, fetched: hasFetched, wasm_ms: wasmMs, gpu_ms: gpuMs, chosen, bar, errors }));
