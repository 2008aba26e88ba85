/** The service worker: what browser mode needs is kept, so that the page works without a network. */
import { addressOf, CACHE, type WebManifest } from "./worker_messages";

interface Lifetime extends globalThis.Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetched extends Lifetime {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface Scope {
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  readonly registration: { readonly scope: string };
  addEventListener(type: "install" | "activate", listener: (event: Lifetime) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetched) => void): void;
}
const scope = self as unknown as Scope;

const UNCHANGING = /[?&]v=[0-9a-f]{16}$/; // named by what is in it
const PAGE = ["./", "app.js", "engine.js", "worker.js", "style.css", "icon.svg", "layouts.json", "web.json"];
const SERVICE = /\/(v1\/|healthz|readyz|metrics|openapi\.json|asyncapi\.json)/; // never kept

scope.addEventListener("install", (event) => event.waitUntil(fill().then(() => scope.skipWaiting())));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));

/** Fetches what is missing and drops what no manifest names any more. */
async function fill(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll(PAGE);
  const manifest = (await (await cache.match("web.json"))!.clone().json()) as WebManifest;
  const wanted = Object.keys(manifest.files)
    .filter((name) => name.includes("/") && !/webgpu|asyncify/.test(name))
    .map((name) => new URL(addressOf(manifest, name), scope.registration.scope).href);
  const kept = new Set((await cache.keys()).map((request) => request.url));
  await Promise.all(wanted.filter((url) => !kept.has(url)).map((url) => cache.add(url)));
  const isWanted = new Set(wanted);
  await Promise.all([...kept].filter((url) => UNCHANGING.test(url) && !isWanted.has(url)).map((url) => cache.delete(url)));
}

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin || SERVICE.test(url.pathname)) return;
  event.respondWith(UNCHANGING.test(url.search) ? fromCache(request) : fromNetwork(request, event));
});

async function fromCache(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}

async function fromNetwork(request: Request, event: Fetched): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    const isKept = await cache.match(request, { ignoreSearch: true });
    if (response.ok && isKept) {
      await cache.put(stripped(request), response.clone());
      if (request.url.endsWith("/web.json")) event.waitUntil(fill()); // another model
    }
    return response;
  } catch (error) {
    const kept = await cache.match(request.mode === "navigate" ? "./" : request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

function stripped(request: Request): string {
  const url = new URL(request.url);
  url.search = "";
  return url.href;
}
