// From a key to its bar in a real browser, where the model runs in it; and from a cold start to the first bar.
//
//   node bench/latency.mjs FOLDER TEXT [KEYS]      # FOLDER: what export-web wrote; TEXT: a message per line
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { isReady, launch, openPage, serveFolder } from "../browser/site.mjs";

const [folder, textFile, numKeys = "400"] = process.argv.slice(2);
const KEY_MS = 70; // between keys: a fast thumb
const lines = readFileSync(textFile, "utf8").split("\n").filter((line) => line.trim());
const site = await serveFolder(folder);
const browser = await launch();
const { page, errors } = await openPage(browser, { serviceWorkers: "block" });

const begun = performance.now();
await page.goto(`${site.url}?mode=browser`);
await isReady(page);
await page.waitForFunction(() => document.querySelector("#bar .slot:not(:disabled)"));
const coldMs = performance.now() - begun;
const coldBytes = site.seen.bytes;

const times = [];
let keys = 0;
const stride = Math.max(1, Math.floor(lines.length / 12));
for (let i = 0; keys < Number(numKeys); i = (i + stride) % lines.length || 1) {
  const before = (await page.locator("#latency").evaluate((each) => JSON.parse(each.dataset.times ?? "[]"))).length;
  await page.keyboard.type(lines[i], { delay: KEY_MS });
  await page.waitForTimeout(100);
  times.push(...(await page.locator("#latency").evaluate((each) => JSON.parse(each.dataset.times ?? "[]"))).slice(before));
  keys += lines[i].length;
  await page.locator("#send").click();
}
await browser.close();
await site.close();

times.sort((a, b) => a - b);
const at = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))];
const result = {
  benchmark: "web_latency", keys, bars: times.length, p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99),
  cold_ms: Math.round(coldMs), cold_bytes: coldBytes, load: loadavg()[0], errors,
};
console.log(`${keys} keys, ${times.length} bars: key to bar ${at(0.5).toFixed(1)} / ${at(0.95).toFixed(1)} / ${at(0.99).toFixed(1)} ms at p50 / p95 / p99`);
console.log(`cold start to the first bar ${(coldMs / 1000).toFixed(1)} s, ${(coldBytes / 1e6).toFixed(1)} MB over the wire; load ${loadavg()[0].toFixed(1)}`);
console.log(JSON.stringify(result));
