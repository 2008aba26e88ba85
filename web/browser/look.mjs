// Pictures of the page to look at: node browser/look.mjs URL OUTPUT   (a service with --page)
import { writeFileSync } from "node:fs";
import { barOf, isReady, keyOf, launch, openPage, tapKeys } from "./site.mjs";

const [url, output] = process.argv.slice(2);
const browser = await launch();
const shots = [];
for (const [mode, theme, sent, text, wanted] of [
  ["server", "light", ["hello are you there?"], "what is teh", "“teh”"],
  ["browser", "dark", ["let me know when you get home"], "see you tom", "tomorrow"],
]) {
  const { page, context } = await openPage(browser, { colorScheme: theme, viewport: { width: 390, height: 640 } });
  await page.goto(`${url}?mode=${mode}`);
  await isReady(page);
  for (const message of sent) {
    await page.keyboard.type(message, { delay: 20 });
    await page.waitForTimeout(500);
    await page.click("#send");
  }
  await tapKeys(page, text);
  await barOf(page, wanted);
  await page.waitForTimeout(700);
  shots.push((await page.screenshot({ path: `${output}/${mode}.png` })).toString("base64"));
  if (mode === "server") {
    await keyOf(page, "digits").click();
    await page.click("#panel-button");
    await page.screenshot({ path: `${output}/panel.png` });
  }
  await context.close();
}
const { page } = await openPage(browser, { viewport: { width: 640, height: 516 } });
const images = shots.map((shot) => `<img src="data:image/png;base64,${shot}" width="300" style="border-radius:20px;border:1px solid #999">`);
await page.setContent(`<body style="margin:10px;display:flex;gap:18px;background:#fff">${images.join("")}</body>`);
writeFileSync(`${output}/web_phone.png`, await page.screenshot());
await browser.close();
