// The page in a real browser, where the model runs in it: node --test browser/
//
// WEB_FOLDER names what `keyboard-lm export-web` wrote.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { barOf, isReady, keyOf, launch, openPage, serveFolder, tapKeys } from "./site.mjs";

const folder = process.env.WEB_FOLDER;
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
let site, browser, page, context, errors;

before(async () => {
  site = await serveFolder(folder);
  browser = await launch();
});
after(async () => {
  await browser.close();
  await site.close();
});
beforeEach(async () => {
  ({ page, context, errors } = await openPage(browser));
  await page.goto(`${site.url}?mode=browser`);
  await isReady(page);
});
afterEach(async () => {
  assert.deepEqual(errors, []);
  await context.close();
});

const field = () => page.inputValue("#field");

test("typing on the keys, accepting from the bar and going on", async () => {
  await tapKeys(page, "see you tom");
  assert.equal(await field(), "See you tom");
  const bar = await barOf(page, "tomorrow");
  await page.locator("#bar .slot").nth(bar.indexOf("tomorrow")).click();
  assert.equal(await field(), "See you tomorrow ");
  await tapKeys(page, ".");
  assert.equal(await field(), "See you tomorrow."); // the space goes again before punctuation
});

test("a sentence begins with a capital, which one backspace does not take twice", async () => {
  await tapKeys(page, "i am");
  assert.equal(await field(), "I am");
  await keyOf(page, "backspace").click();
  assert.equal(await field(), "I a");
});

test("a capital that was put in is taken back by backspace and not put in again", async () => {
  await page.keyboard.type("so ");
  await page.keyboard.type("i ");
  assert.equal(await field(), "So I ");
  await page.keyboard.press("Backspace");
  assert.equal(await field(), "So i ");
  await page.keyboard.type("and i ");
  assert.equal(await field(), "So i and i ");
});

test("two spaces are a full stop, and backspace takes that back", async () => {
  await page.keyboard.type("ok  ");
  assert.equal(await field(), "Ok. ");
  await page.keyboard.press("Backspace");
  assert.equal(await field(), "Ok  ");
});

test("a hardware keyboard types, takes suggestions and moves the cursor", async () => {
  await page.keyboard.type("see you tom");
  const bar = await barOf(page, "tomorrow");
  await page.keyboard.press(`Alt+${bar.indexOf("tomorrow") + 1}`);
  assert.equal(await field(), "See you tomorrow ");
  await page.keyboard.press("Home");
  await page.keyboard.type("we ");
  assert.equal(await field(), "We See you tomorrow ");
});

test("ghost text is taken by the arrow key", async () => {
  await page.keyboard.type("see you tom");
  await page.waitForFunction(() => document.querySelector("#mirror .ghost")?.textContent === "orrow");
  await page.keyboard.press("ArrowRight");
  assert.equal(await field(), "See you tomorrow ");
});

test("pasted and selected text is the browser's, and typing goes on behind it", async () => {
  await page.keyboard.type("hello");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("thanks for the ");
  assert.equal(await field(), "Thanks for the ");
  await page.locator("#field").evaluate((area) => {
    area.setRangeText("good 👩‍👧 ", area.value.length, area.value.length, "end");
    area.dispatchEvent(new InputEvent("input", { inputType: "insertFromPaste" }));
  });
  await page.keyboard.type("day");
  await page.keyboard.press("Backspace");
  assert.equal(await field(), "Thanks for the good 👩‍👧 da");
});

test("shift, caps lock, digits and other signs", async () => {
  const shift = keyOf(page, "shift");
  await tapKeys(page, "a ");
  await shift.click();
  await tapKeys(page, "b");
  await shift.evaluate((key) => {
    // Twice in less time than a busy machine takes for two clicks.
    const { left, top } = key.getBoundingClientRect();
    const at = { bubbles: true, cancelable: true, clientX: left + 5, clientY: top + 5, pointerId: 1 };
    for (const type of ["pointerdown", "pointerup", "pointerdown", "pointerup"]) key.dispatchEvent(new PointerEvent(type, at));
  });
  await tapKeys(page, "cd");
  await shift.click();
  await tapKeys(page, "e ");
  await keyOf(page, "digits").click();
  await tapKeys(page, "12");
  await keyOf(page, "symbols").click();
  await keyOf(page, "€").click();
  await keyOf(page, " ").click();
  await tapKeys(page, "f");
  assert.equal(await field(), "A BCDe 12€ f");
});

test("a long press offers other letters", async () => {
  await tapKeys(page, "caf");
  const box = await keyOf(page, "e").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.locator(".popup [role=option]").first().waitFor();
  const second = await page.locator(".popup [role=option]").nth(1).boundingBox();
  await page.mouse.move(second.x + second.width / 2, second.y + second.height / 2);
  await page.mouse.up();
  assert.equal(await field(), "Cafè");
});

test("fingers type, also when the second is down before the first is up", async () => {
  const touched = await openPage(browser, { hasTouch: true, isMobile: true });
  await touched.page.goto(`${site.url}?mode=browser`);
  await isReady(touched.page);
  const centre = async (name) => {
    const { x, y, width, height } = await keyOf(touched.page, name).boundingBox();
    return { x: x + width / 2, y: y + height / 2 };
  };
  for (const char of "so") {
    const { x, y } = await centre(char);
    await touched.page.touchscreen.tap(x, y);
  }
  const client = await touched.context.newCDPSession(touched.page);
  const touch = (type, points) => client.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  const [first, second] = [{ ...(await centre("o")), id: 0 }, { ...(await centre("n")), id: 1 }];
  await touch("touchStart", [first]);
  await touch("touchStart", [first, second]);
  await touch("touchEnd", [second]);
  await touch("touchEnd", []);
  assert.equal(await touched.page.inputValue("#field"), "Soon");
  assert.deepEqual(touched.errors, []);
  await touched.context.close();
});

test("the layout is chosen in the panel", async () => {
  await page.click("#panel-button");
  await page.selectOption("#layout", "azerty");
  const first = page.locator("#keyboard .key.char").first();
  assert.match(await first.getAttribute("aria-label"), /^(Capital )?a$/);
  await page.selectOption("#layout", "dvorak");
  assert.equal(await page.locator("#keyboard .shift").count(), 1);
  assert.equal(await page.locator("#keyboard .backspace").count(), 1);
});

test("keys can be reached and pressed without a pointer", async () => {
  await keyOf(page, "q").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await field(), "A");
});

test("a sent message empties the field", async () => {
  await page.keyboard.type("ok");
  await page.click("#send");
  assert.equal(await field(), "");
  assert.deepEqual(await page.locator("#messages li").allTextContents(), ["Ok"]);
  await page.keyboard.type("next");
  assert.equal(await field(), "Next");
});

test("nothing is asked of any server while typing", async () => {
  await page.waitForFunction(() => document.documentElement.dataset.offline !== undefined);
  await page.waitForTimeout(500);
  const requests = [];
  context.on("request", (request) => requests.push(request.url()));
  const served = site.seen.requests.length;
  await page.keyboard.type("I will see you tomorrow at the station. Then we can go home");
  await barOf(page, "and").catch(() => null);
  assert.deepEqual(requests, []);
  assert.equal(site.seen.requests.length, served);
});

test("the page works without a network from the second visit on", async () => {
  await page.waitForFunction(() => document.documentElement.dataset.offline === "kept");
  await context.setOffline(true);
  await page.reload();
  await isReady(page);
  await page.keyboard.type("see you tom");
  await barOf(page, "tomorrow");
  errors.splice(0); // what a browser says of requests without a network
});

for (const theme of ["light", "dark"]) {
  test(`axe finds nothing in the ${theme} page`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    await page.keyboard.type("see you tom");
    await barOf(page, "tomorrow");
    await page.click("#panel-button");
    const script = await import("node:fs").then(({ readFileSync }) => readFileSync(axe, "utf8"));
    await page.evaluate(script); // the page's own policy forbids an inline script element
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), []);
  });
}
