/** What the page and its worker say to each other. */
import type { Shift } from "../keyboard/events";
import type { Bar } from "./session";

export type ToWorker =
  | { readonly type: "open"; readonly numSlots: number }
  | { readonly type: "suggest"; readonly revision: number; readonly before: string; readonly shift: Shift };

export type FromWorker =
  | { readonly type: "ready"; readonly message: string }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "timed"; readonly wasmMs: number; readonly gpuMs: number }
  | { readonly type: "bar"; readonly bar: Bar };

/** `language.json`. */
export interface LanguageRules {
  readonly name: string;
  readonly full_stop: string;
  readonly capital_words: readonly string[];
  readonly sentence_capitals: boolean;
}

/** `web.json`. */
export interface WebManifest {
  readonly format: number;
  readonly checkpoint: string;
  readonly runtime: string;
  readonly webgpu: boolean;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly gzip_bytes: number; readonly sha256: string }>>;
}

/** The cache of what browser mode needs. */
export const CACHE = "keyboard-lm";

/** The address of a file of the manifest: what it holds never changes there, so a cache may keep it. */
export function addressOf(manifest: WebManifest, name: string): string {
  return `${name}?v=${manifest.files[name].sha256.slice(0, 16)}`;
}
