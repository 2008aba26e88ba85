/** The text before the cursor as the network holds it: one KV cache, moved as little as possible between keystrokes. */
import { ROOT, type Backend } from "../network/backend";
import type { PieceSet } from "./pieces";

export type Path = readonly number[];
export const keyOf = (path: Path): string => path.join(" ");

/** The probabilities of logits, in float32. */
export function softmax(logits: Float32Array): Float32Array {
  let most = -Infinity;
  for (const logit of logits) if (logit > most) most = logit;
  const given = new Float32Array(logits.length);
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += given[i] = Math.exp(logits[i] - most);
  for (let i = 0; i < given.length; i++) given[i] /= total;
  return given;
}

/** What the network says after one context, and after the continuations that were asked for so far. */
export class Boundary {
  private readonly known = new Map<string, Float32Array>();
  private readonly kept = new Map<PieceSet, Map<string, Float32Array>>();

  constructor(private readonly cache: ContextCache, private readonly contextIds: Path, first: Float32Array) {
    this.known.set("", first);
  }

  /** The next piece's probabilities after the context and `path`, which `expand` has seen. */
  probabilities(path: Path): Float32Array {
    return this.known.get(keyOf(path))!;
  }

  isKnown(path: Path): boolean {
    return this.known.has(keyOf(path));
  }

  /** The same for some pieces, in their order; those that cannot begin a word have none at the boundary itself. */
  arranged(pieces: PieceSet, path: Path, begins = !path.length): Float32Array {
    let ofSet = this.kept.get(pieces);
    if (!ofSet) this.kept.set(pieces, (ofSet = new Map()));
    const key = `${begins ? "b" : "i"} ${keyOf(path)}`;
    let arranged = ofSet.get(key);
    if (!arranged) {
      const given = this.probabilities(path);
      arranged = new Float32Array(pieces.ids.length);
      for (let i = 0; i < arranged.length; i++) arranged[i] = begins && !pieces.mayBegin[i] ? 0 : given[pieces.ids[i]];
      ofSet.set(key, arranged);
    }
    return arranged;
  }

  /** Scores all `paths`, and the paths they pass through, in one call of the network. */
  async expand(paths: readonly Path[]): Promise<void> {
    const nodes = new Map<string, number>();
    const ids: number[] = [];
    const parents: number[] = [];
    for (const path of paths) {
      let parent = ROOT;
      for (let depth = 1; depth <= path.length; depth++) {
        const key = keyOf(path.slice(0, depth));
        let node = nodes.get(key);
        if (node === undefined) {
          node = ids.length;
          nodes.set(key, node);
          ids.push(path[depth - 1]);
          parents.push(parent);
        }
        parent = node;
      }
    }
    const logits = await this.cache.scoreTree(this.contextIds, ids, parents);
    for (const [key, node] of nodes) if (!this.known.has(key)) this.known.set(key, softmax(logits[node]));
  }
}

/** A backend that can be asked about any context; it computes only what differs from the one before. */
export class ContextCache {
  numCalls = 0;
  private cachedIds: Path = [];
  private readonly boundaries = new Map<string, Boundary>(); // the latest last

  constructor(private readonly backend: Backend, private readonly numRemembered = 4) {}

  /** The boundary after `ids` (at least one). */
  async at(ids: Path): Promise<Boundary> {
    const key = keyOf(ids);
    let boundary = this.boundaries.get(key);
    if (boundary) this.boundaries.delete(key);
    else {
      // The last token is fed again even if the cache holds it: its logits are what is wanted.
      const logits = await this.feed(ids, Math.min(this.shared(ids), ids.length - 1));
      boundary = new Boundary(this, ids, softmax(logits));
    }
    this.boundaries.set(key, boundary);
    if (this.boundaries.size > this.numRemembered) this.boundaries.delete(this.boundaries.keys().next().value!);
    return boundary;
  }

  /** Drops all that is cached. */
  forget(): void {
    this.cachedIds = [];
    this.boundaries.clear();
  }

  async scoreTree(contextIds: Path, ids: Path, parents: readonly number[]): Promise<Float32Array[]> {
    const shared = this.shared(contextIds);
    if (shared < contextIds.length) await this.feed(contextIds, shared);
    else if (shared < this.backend.length) {
      this.backend.rewind(shared);
      this.cachedIds = contextIds;
    }
    this.numCalls++;
    return this.backend.scoreTree(ids, parents);
  }

  private shared(ids: Path): number {
    const most = Math.min(ids.length, this.cachedIds.length);
    let shared = 0;
    while (shared < most && ids[shared] === this.cachedIds[shared]) shared++;
    return shared;
  }

  private async feed(ids: Path, kept: number): Promise<Float32Array> {
    // What is cached is forgotten first: a call that fails leaves a state that the next one can start from.
    this.cachedIds = ids.slice(0, kept);
    this.backend.rewind(kept);
    const logits = await this.backend.decode(ids.slice(kept));
    this.numCalls++;
    this.cachedIds = ids;
    return logits;
  }
}

/** How much of the text before the cursor the network is given (`ContextWindow` in Python). */
export function fitContext(ids: Path, bosId: number, endsToken: Uint8Array, numIds: number): Path {
  const room = numIds - 1;
  let start = 0;
  if (ids.length > room) {
    const step = Math.max(1, Math.floor(room / 4));
    const least = Math.ceil((ids.length - room) / step) * step;
    start = ids.length - room;
    for (let i = least - 1; i < ids.length - 1; i++) {
      if (endsToken[ids[i]]) {
        start = i + 1;
        break;
      }
    }
  }
  return [bosId, ...ids.slice(start)];
}
