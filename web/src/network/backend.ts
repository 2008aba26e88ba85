/** What search asks of a network, whatever runs it (`keyboard_lm/backends/protocol.py`); every call is awaited. */

export const ROOT = -1; // parent of a tree node that follows the cached context directly

/** One network with one flat, rewindable KV cache. */
export interface Backend {
  /** Slots of the cache, those that `scoreTree` uses as scratch included. */
  readonly capacity: number;
  /** Tokens in the cache. */
  readonly length: number;
  /** Forgets every cached token after the first `length`. */
  rewind(length: number): void;
  /** Appends ids to the cache; the last token's logits. */
  decode(ids: readonly number[]): Promise<Float32Array>;
  /** Logits after each node of a tree behind the cache, which stays as it is. */
  scoreTree(ids: readonly number[], parents: readonly number[]): Promise<Float32Array[]>;
}

/** Each node's distance from the cached context (0 for children of `ROOT`). */
export function treeDepths(parents: readonly number[]): number[] {
  const depths: number[] = [];
  for (const parent of parents) depths.push(parent === ROOT ? 0 : depths[parent] + 1);
  return depths;
}
