// Pictures of the page to look at: node browser/look.mjs FOLDER OUTPUT
import { isReady, launch, openPage, serveFolder, tapKeys } from "./site.mjs";

const [folder, output] = process.argv.slice(2);
const site = await serveFolder(folder);
const browser = await launch();
const { page, errors } = await openPage(browser, { deviceScaleFactor: 2 });
await page.goto(`${site.url}?mode=browser`);
try {
  await isReady(page);
  await tapKeys(page, "see you tom");
  await page.waitForTimeout(800);
} catch (error) {
  console.log(String(error).slice(0, 300));
}
console.log(await page.locator("#status").textContent(), await page.locator("#bar .slot").allTextContents(), await page.inputValue("#field"));
await page.screenshot({ path: `${output}/light.png` });
await page.click("#theme");
await page.click("#panel-button");
await page.screenshot({ path: `${output}/dark-panel.png` });
console.log({ errors, bytes: site.seen.bytes, requests: site.seen.requests.length, latency: await page.locator("#latency").textContent() });
await browser.close();
await site.close();
