/**
 * The words of a language: what may be offered, and the most frequent words with a beginning (`keyboard_lm/words`).
 *
 * `lexicon.bin` is a trie in flat arrays: a JSON header of one line says where each array lies.
 */
import { fold } from "../text/characters";
import { Heap } from "../decoding/best";

const ROOT = 0;
const OFFENSIVE = 1;
const MAX_FREQUENCY = 255;
const MOST_NODES = 2000; // looked at; a beginning that many words share gives its best within a few dozen

interface Header {
  readonly alphabet: string;
  readonly arrays: Readonly<Record<string, { readonly offset: number; readonly length: number }>>;
}

export class Lexicon {
  private readonly letters: Uint8Array;
  private readonly firstChild: Int32Array;
  private readonly firstEntry: Int32Array;
  private readonly best: Uint8Array;
  private readonly frequencies: Uint8Array;
  private readonly flags: Uint8Array;
  private readonly capitals: BigUint64Array;
  private readonly alphabet: readonly string[];
  private readonly numberOf = new Map<string, number>();
  private readonly offensive = new Map<string, boolean>();

  constructor(content: ArrayBuffer) {
    const bytes = new Uint8Array(content);
    const end = bytes.indexOf(10);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as Header;
    const at = (name: string): [ArrayBuffer, number, number] => {
      const { offset, length } = header.arrays[name];
      return [content, offset, length];
    };
    this.letters = new Uint8Array(...at("letters"));
    this.frequencies = new Uint8Array(...at("frequencies"));
    this.flags = new Uint8Array(...at("flags"));
    this.capitals = new BigUint64Array(...at("capitals"));
    this.firstChild = sums(1, new Uint8Array(...at("num_children")));
    this.firstEntry = sums(0, new Uint8Array(...at("num_entries")));
    this.best = this.bestFrequencies();
    this.alphabet = Array.from(header.alphabet);
    this.alphabet.forEach((letter, i) => this.numberOf.set(letter, i + 1));
  }

  /** The highest frequency of any offered word at or below each node; nodes are numbered breadth first. */
  private bestFrequencies(): Uint8Array {
    const best = new Uint8Array(this.letters.length);
    for (let node = best.length - 1; node >= 0; node--) {
      for (let entry = this.firstEntry[node]; entry < this.firstEntry[node + 1]; entry++)
        if (!this.flags[entry]) best[node] = Math.max(best[node], this.frequencies[entry]);
      for (let child = this.firstChild[node]; child < this.firstChild[node + 1]; child++)
        best[node] = Math.max(best[node], best[child]);
    }
    return best;
  }

  /** Whether a word must not be offered, in any case but that of another word (`John` may be). */
  isOffensive(word: string): boolean {
    let known = this.offensive.get(word);
    if (known === undefined) {
      if (this.offensive.size > 16384) this.offensive.clear();
      known = this.judge(word);
      this.offensive.set(word, known);
    }
    return known;
  }

  private judge(word: string): boolean {
    const folded = fold(word);
    const node = this.nodeOf(folded);
    if (node < 0) return false;
    const offensive = new Set<string>();
    const harmless = new Set<string>();
    for (let entry = this.firstEntry[node]; entry < this.firstEntry[node + 1]; entry++)
      (this.flags[entry] & OFFENSIVE ? offensive : harmless).add(this.text(folded, entry));
    if (offensive.has(word) || harmless.has(word)) return offensive.has(word);
    return offensive.size > 0 && [...harmless].every((text) => word !== text.toUpperCase());
  }

  /** Offered words that begin with `prefix` in any case, the most frequent first. */
  frequent(prefix: string, limit: number): string[] {
    const folded = fold(prefix);
    const start = this.nodeOf(folded);
    const found: string[] = [];
    if (start < 0) return found;
    // Most frequent first; of equal ones nodes before entries, then by number, as Python's heap of tuples has it.
    const rank = (frequency: number, isEntry: boolean, number: number): number =>
      (MAX_FREQUENCY - frequency) * 2 ** 33 + (isEntry ? 2 ** 32 : 0) + number;
    const heap = new Heap<{ readonly entry: number; readonly node: number; readonly letters: string }>();
    heap.push(rank(this.best[start], false, start), { entry: -1, node: start, letters: folded });
    for (let looked = 0; looked < MOST_NODES && heap.size && found.length < limit; looked++) {
      if (heap.rank >= rank(0, false, 0)) break;
      const { entry, node, letters } = heap.pop();
      if (entry >= 0) {
        found.push(this.text(letters, entry));
        continue;
      }
      for (let each = this.firstEntry[node]; each < this.firstEntry[node + 1]; each++)
        if (!this.flags[each]) heap.push(rank(this.frequencies[each], true, each), { entry: each, node, letters });
      for (let child = this.firstChild[node]; child < this.firstChild[node + 1]; child++) {
        const longer = letters + this.alphabet[this.letters[child] - 1];
        heap.push(rank(this.best[child], false, child), { entry: -1, node: child, letters: longer });
      }
    }
    return found;
  }

  private nodeOf(folded: string): number {
    let node = ROOT;
    for (const letter of folded) {
      const number = this.numberOf.get(letter);
      if (number === undefined) return -1;
      const from = this.firstChild[node];
      const place = this.letters.subarray(from, this.firstChild[node + 1]).indexOf(number);
      if (place < 0) return -1;
      node = from + place;
    }
    return node;
  }

  private text(folded: string, entry: number): string {
    const capitals = this.capitals[entry];
    if (!capitals) return folded;
    return Array.from(folded, (char, i) => ((capitals >> BigInt(i)) & 1n ? char.toUpperCase() : char)).join("");
  }
}

/** Where the children (or entries) of each node begin: those of node n are `sums[n]` to `sums[n + 1]`. */
function sums(first: number, sizes: Uint8Array): Int32Array {
  const starts = new Int32Array(sizes.length + 1);
  starts[0] = first;
  for (let i = 0; i < sizes.length; i++) starts[i + 1] = starts[i] + sizes[i];
  return starts;
}
