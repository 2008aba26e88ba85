// The page in a real browser, where a service answers: the same phone with corrections, learning and swipes.
//
// WEB_FOLDER names what `keyboard-lm export-web` wrote, KEYBOARD_LM the command.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { barOf, isReady, keyOf, launch, openPage, tapKeys } from "./site.mjs";

const command = process.env.KEYBOARD_LM ?? ".venv/bin/keyboard-lm";
let port, service, browser, page, context, errors;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: found } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return found;
}

async function startService(at = port, more = []) {
  const options = ["serve", "--port", String(at), "--page", process.env.WEB_FOLDER, ...more];
  const started = spawn(command, options, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  started.stderr.on("data", (data) => (said += data));
  for (let tries = 0; tries < 600; tries++) {
    const response = await fetch(`http://127.0.0.1:${at}/readyz`).catch(() => null);
    if (response?.ok) return started;
    if (started.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the service did not start: ${said}`);
}

async function stopService(started = service) {
  const ended = new Promise((resolve) => started.once("exit", resolve));
  started.kill("SIGTERM");
  await ended;
}

before(async () => {
  port = await freePort();
  service = await startService();
  browser = await launch();
});
after(async () => {
  await browser.close();
  await stopService();
});
beforeEach(async () => {
  ({ page, context, errors } = await openPage(browser));
  await page.goto(`http://127.0.0.1:${port}/`);
  await isReady(page);
});
afterEach(async () => {
  assert.deepEqual(errors, []);
  await context.close();
});

const fieldIs = (text) => page.waitForFunction((wanted) => document.getElementById("field").value === wanted, text, { timeout: 10000 });

test("a space corrects, the literal stands in quotes, and backspace brings it back", async () => {
  await tapKeys(page, "what is teh");
  const bar = await barOf(page, "“teh”");
  assert.ok(bar.includes("the"), String(bar));
  assert.equal(await page.locator("#bar .chosen").textContent(), "the");
  await tapKeys(page, " ");
  await fieldIs("What is the ");
  await keyOf(page, "backspace").click();
  await fieldIs("What is teh ");
});

test("the literal can be kept from the bar", async () => {
  await tapKeys(page, "what is teh");
  const bar = await barOf(page, "“teh”");
  await page.locator("#bar .slot").nth(bar.indexOf("“teh”")).click();
  await fieldIs("What is teh ");
});

test("fast keys arrive in order, with the cursor moved between them", async () => {
  await page.keyboard.type("we can go home and then see what is on");
  await fieldIs("We can go home and then see what is on");
  await page.keyboard.press("Control+Home");
  await page.keyboard.type("so ");
  await fieldIs("So We can go home and then see what is on");
});

test("a finger that slides over the keys writes a word, and one backspace takes it back", async () => {
  const box = async (char) => {
    const { x, y, width, height } = await keyOf(page, char).boundingBox();
    return [x + width / 2, y + height / 2];
  };
  await page.mouse.move(...(await box("h")));
  await page.mouse.down();
  for (const char of "elo") await page.mouse.move(...(await box(char)), { steps: 8 });
  await page.mouse.up();
  await fieldIs("Hello ");
  await keyOf(page, "backspace").click();
  await fieldIs("");
});

test("learned words are shown and forgotten, if learning is on", async () => {
  await page.click("#panel-button");
  assert.equal(await page.locator("#learned-count").textContent(), "Learning is off.");
  await page.selectOption("#learning", "memory");
  await isReady(page);
  await page.locator("#field").focus();
  await page.keyboard.type("see teh");
  const bar = await barOf(page, "“teh”");
  await page.locator("#bar .slot").nth(bar.indexOf("“teh”")).click(); // meant as it is: learned at once
  await fieldIs("See teh ");
  await page.keyboard.type("and more ");
  await fieldIs("See teh and more ");
  await page.click("#panel-button");
  await page.click("#panel-button");
  await page.click('#learned [aria-label="Forget teh"]');
  await page.waitForFunction(() => !document.querySelector('#learned [aria-label="Forget teh"]'));
});

test("the mode is switched in the middle of a text, which stays", async () => {
  await page.keyboard.type("see you tom");
  await fieldIs("See you tom");
  await page.click("#mode-browser");
  await page.waitForFunction(() => document.documentElement.dataset.mode === "browser");
  await isReady(page);
  const bar = await barOf(page, "tomorrow");
  await page.locator("#bar .slot").nth(bar.indexOf("tomorrow")).click();
  assert.equal(await page.inputValue("#field"), "See you tomorrow ");
  await page.click("#mode-server");
  await isReady(page);
  await page.locator("#field").focus();
  await page.keyboard.type("at ");
  await fieldIs("See you tomorrow at ");
});

test("a service that is started again finds the field as it was left", async () => {
  await page.keyboard.type("we will be");
  await fieldIs("We will be");
  await stopService();
  await page.waitForFunction(() => document.documentElement.dataset.state === "lost");
  await page.keyboard.type(" th");
  service = await startService();
  await isReady(page);
  await fieldIs("We will be th");
  await page.keyboard.type("ere");
  await fieldIs("We will be there");
  errors.splice(0); // refused connections
});

test("a service that wants a token says so, and takes one", async () => {
  const folder = mkdtempSync(join(tmpdir(), "keyboard-lm-"));
  const tokens = join(folder, "tokens");
  const token = execFileSync(command, ["serve-token", "--tokens", tokens, "add", "page"], { encoding: "utf8" }).trim();
  const other = await freePort();
  const guarded = await startService(other, ["--tokens", tokens]);
  try {
    await page.goto(`http://127.0.0.1:${other}/`);
    await page.waitForFunction(() => document.documentElement.dataset.state === "failed");
    assert.match(await page.locator("#status").textContent(), /token/);
    await page.click("#panel-button");
    await page.fill("#token", "wrong");
    await page.locator("#token").press("Tab");
    await page.waitForFunction(() => document.documentElement.dataset.state === "failed");
    await page.fill("#token", token);
    await page.locator("#token").press("Tab");
    await isReady(page);
    await page.locator("#field").focus();
    await page.keyboard.type("we will");
    await fieldIs("We will");
  } finally {
    await stopService(guarded);
    rmSync(folder, { recursive: true });
  }
  errors.splice(0); // refused connections
});
