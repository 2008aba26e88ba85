// A static site over an exported folder, and a browser to look at it with.
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".css": "text/css",
  ".svg": "image/svg+xml", ".wasm": "application/wasm",
};
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** Serves a folder, compressed where a `.gz` lies beside a file; counts requests and bytes. */
export async function serveFolder(folder) {
  const seen = { requests: [], bytes: 0 };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = join(folder, normalize(path === "/" ? "/index.html" : path));
    seen.requests.push(request.url);
    if (!existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const isPacked = existsSync(`${file}.gz`);
    const content = readFileSync(isPacked ? `${file}.gz` : file);
    seen.bytes += content.length;
    const headers = { "content-type": TYPES[extname(file)] ?? "application/octet-stream" };
    if (isPacked) headers["content-encoding"] = "gzip";
    response.writeHead(200, headers).end(content);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, seen, close };
}

export const executable = ["CHROMIUM", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .map((each) => (each === "CHROMIUM" ? process.env.CHROMIUM : each))
  .find((each) => each && existsSync(each));

export function launch(flags = []) {
  return chromium.launch({ executablePath: executable, headless: true, args: [...FLAGS, ...flags] });
}

/** A page whose console errors fail the test. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 416, height: 752 }, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // A page that looks whether a service is there may be told no.
    if (message.type() === "error" && !/v1\/offered|404/.test(message.text() + message.location().url)) errors.push(message.text());
  });
  return { page, context, errors };
}

export const isReady = (page) => page.waitForFunction(() => document.documentElement.dataset.state === "ready", null, { timeout: 60000 });

/** Types on the keys of the screen, each where its middle is. */
export async function tapKeys(page, text) {
  for (const char of text) await keyOf(page, char).click();
}

/** The key of a character, or of an action such as `shift`. */
export const keyOf = (page, name) => page.locator(`#keyboard [data-key=${JSON.stringify(name)}]`);

/** The bar, once it is that of what was typed last and has the expected text in one of its slots. */
export async function barOf(page, expected, timeout = 10000) {
  const slots = await page.waitForFunction(
    (text) => {
      const bar = document.querySelector("#bar[aria-busy=false]");
      const texts = [...(bar?.querySelectorAll(".slot") ?? [])].map((slot) => slot.textContent);
      return texts.includes(text) ? texts : null;
    },
    expected,
    { timeout },
  );
  return slots.jsonValue();
}
