/** Form tokens to piece ids: a unigram SentencePiece model with white space as suffix, as `export-web` writes it. */
import { META_SPACE, TextForm } from "../text/form";

export const WORD_END = META_SPACE;
const UNKNOWN_PENALTY = 10; // nats below the least score, as SentencePiece has it
const BYTE_PIECE = /^<0x([0-9A-F]{2})>$/;

/** `tokenizer.json`: pieces by id, with their scores. */
export interface TokenizerData {
  readonly pieces: readonly string[];
  readonly scores: readonly number[];
  readonly control_ids: readonly number[];
  readonly byte_ids: readonly number[];
  readonly bos_id: number;
  readonly eos_id: number;
  readonly proper_nouns: readonly string[];
}

interface TrieNode {
  readonly next: Map<number, TrieNode>;
  id: number;
}

export class Tokenizer {
  readonly form: TextForm;
  readonly pieces: readonly string[];
  readonly vocabSize: number;
  readonly bosId: number;
  readonly eosId: number;
  readonly controlIds: ReadonlySet<number>;
  /** The piece of each byte value; -1 where the tokenizer has none. */
  readonly byteIds: Int32Array;
  private readonly scores: Float32Array;
  private readonly unknownScore: number;
  private readonly root: TrieNode = { next: new Map(), id: -1 };
  private readonly utf8 = new TextEncoder();

  constructor(data: TokenizerData) {
    this.form = new TextForm(data.proper_nouns);
    this.pieces = data.pieces;
    this.vocabSize = data.pieces.length;
    this.bosId = data.bos_id;
    this.eosId = data.eos_id;
    this.controlIds = new Set(data.control_ids);
    this.scores = Float32Array.from(data.scores);
    this.byteIds = new Int32Array(256).fill(-1);
    for (const id of data.byte_ids) this.byteIds[parseInt(BYTE_PIECE.exec(data.pieces[id])![1], 16)] = id;
    const special = new Set([...data.control_ids, ...data.byte_ids]);
    let least = Infinity;
    for (let id = 0; id < this.vocabSize; id++) {
      if (special.has(id)) continue;
      least = Math.min(least, this.scores[id]);
      this.add(data.pieces[id], id);
    }
    this.unknownScore = Math.fround(least - UNKNOWN_PENALTY);
  }

  private add(piece: string, id: number): void {
    let node = this.root;
    for (let i = 0; i < piece.length; i++) {
      const unit = piece.charCodeAt(i);
      let next = node.next.get(unit);
      if (!next) node.next.set(unit, (next = { next: new Map(), id: -1 }));
      node = next;
    }
    node.id = id;
  }

  /** The piece ids of finished form tokens; the last id ends a word. */
  encodeTokens(tokens: readonly string[]): number[] {
    return tokens.length ? this.encode(tokens.join(WORD_END) + WORD_END) : [];
  }

  /** The ids of one typed message, the end of the message last. */
  encodeMessage(text: string): number[] {
    const form = this.form.encode(text);
    return [...this.encodeTokens(form ? form.split(" ") : []), this.eosId];
  }

  /** The most probable way to write a text in pieces: Viterbi, in float32 as SentencePiece computes it. */
  private encode(text: string): number[] {
    const length = text.length;
    const best = new Float32Array(length + 1);
    const from = new Int32Array(length + 1).fill(-1);
    const by = new Int32Array(length + 1).fill(-1);
    const reach = (start: number, end: number, score: number, id: number): void => {
      best[end] = score;
      from[end] = start;
      by[end] = id;
    };
    for (let start = 0; start < length; ) {
      const width = text.codePointAt(start)! > 0xffff ? 2 : 1;
      let hasOneChar = false;
      let node = this.root.next.get(text.charCodeAt(start));
      for (let end = start + 1; node; end++) {
        if (node.id >= 0) {
          const score = Math.fround(this.scores[node.id] + best[start]);
          if (from[end] < 0 || score > best[end]) reach(start, end, score, node.id);
          hasOneChar ||= end === start + width;
        }
        node = node.next.get(text.charCodeAt(end)); // NaN behind the end leads nowhere
      }
      if (!hasOneChar) {
        const end = start + width;
        const score = Math.fround(this.unknownScore + best[start]);
        if (from[end] < 0 || score > best[end]) reach(start, end, score, -1);
      }
      start += width;
    }
    const ids: number[] = [];
    for (let end = length; end > 0; end = from[end]) {
      if (by[end] >= 0) ids.push(by[end]);
      else for (const byte of this.utf8.encode(text.slice(from[end], end)).reverse()) ids.push(this.byteIds[byte]);
    }
    return ids.reverse();
  }
}
