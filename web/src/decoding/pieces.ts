/** The tokenizer's pieces arranged for finding words by their beginning (`keyboard_lm/decoding/pieces.py`). */
import { compareText, fold } from "../text/characters";
import { isWord, isWordPart } from "../text/form";
import { WORD_END, type Tokenizer } from "../network/tokenizer";

const NEVER_FIRST: ReadonlySet<string> = new Set("'.,:"); // these stand only inside words
const NEVER_LAST = NEVER_FIRST;
const MAX_REMEMBERED = 4096;

export type Span = readonly [number, number];
const NOTHING: Span = [0, 0];

interface Row {
  readonly key: string;
  readonly text: string;
  readonly id: number;
  readonly begins: boolean;
}

/** Some pieces in the order of their folded text, so that those with a common beginning lie side by side. */
export class PieceSet {
  readonly ids: Int32Array;
  readonly texts: readonly string[];
  readonly keys: readonly string[];
  readonly mayBegin: Uint8Array;
  /** Index of the first piece of each group of equal keys; the number of pieces last. */
  readonly groupStarts: Int32Array;
  readonly largestGroup: number;
  readonly areWords: readonly boolean[];
  readonly longest: number;
  private readonly groups = new Map<string, Span>();
  private readonly spans = new Map<string, Span>();
  private readonly begun = new Map<string, Int32Array>();

  constructor(pieces: readonly Omit<Row, "key">[]) {
    const rows: Row[] = pieces.map((piece) => ({ ...piece, key: fold(piece.text) }));
    rows.sort((a, b) => compareText(a.key, b.key) || compareText(a.text, b.text) || a.id - b.id);
    this.ids = Int32Array.from(rows, (row) => row.id);
    this.texts = rows.map((row) => row.text);
    this.keys = rows.map((row) => row.key);
    this.mayBegin = Uint8Array.from(rows, (row) => Number(row.begins));
    const starts = rows.flatMap((row, i) => (i && rows[i - 1].key === row.key ? [] : [i]));
    this.groupStarts = Int32Array.from([...starts, rows.length]);
    let largest = 1;
    starts.forEach((start, group) => {
      const stop = this.groupStarts[group + 1];
      largest = Math.max(largest, stop - start);
      this.groups.set(this.keys[start], [start, stop]);
    });
    this.largestGroup = largest;
    this.areWords = this.keys.map(isWord);
    this.longest = Math.max(0, ...this.keys.map((key) => key.length));
  }

  /** Where the pieces lie whose folded text starts with `prefix` (folded). */
  startingWith(prefix: string): Span {
    if (!prefix) return [0, this.keys.length];
    if (prefix.length > this.longest) return NOTHING;
    let span = this.spans.get(prefix);
    if (!span) {
      const first = this.bisect((key) => compareText(key, prefix) >= 0);
      span = [first, this.bisect((key) => compareText(key, prefix) >= 0 && !key.startsWith(prefix))];
      if (this.spans.size >= MAX_REMEMBERED) this.spans.clear();
      this.spans.set(prefix, span);
    }
    return span;
  }

  private bisect(isBehind: (key: string) => boolean): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBehind(this.keys[middle])) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Where the pieces lie whose folded text is `key`; an empty span where there is none. */
  group(key: string): Span {
    return this.groups.get(key) ?? NOTHING;
  }

  /** The places of the pieces whose folded text starts with `prefix` or is a beginning of it. */
  beginningOrBegun(prefix: string): Int32Array {
    let places = this.begun.get(prefix);
    if (!places) {
      const found: number[] = [];
      const add = ([first, stop]: Span): void => {
        for (let place = first; place < stop; place++) found.push(place);
      };
      add(this.startingWith(prefix));
      for (let n = 0; n < Math.min(prefix.length, this.longest + 1); n++) add(this.group(prefix.slice(0, n)));
      places = Int32Array.from(found);
      if (this.begun.size >= MAX_REMEMBERED) this.begun.clear();
      this.begun.set(prefix, places);
    }
    return places;
  }
}

/** The pieces a word can be written with: no control piece, no punctuation, no emoji, no mark. */
export class PieceTable {
  /** Pieces that finish a word, the bare word end among them. */
  readonly ends: PieceSet;
  /** Pieces that leave a word open. */
  readonly opens: PieceSet;
  readonly byteIds: Int32Array;
  /** Whether a form token or a message ends with the piece. */
  readonly endsToken: Uint8Array;

  constructor(tokenizer: Tokenizer) {
    const finishing: Omit<Row, "key">[] = [];
    const open: Omit<Row, "key">[] = [];
    const bytes = new Set(tokenizer.byteIds);
    tokenizer.pieces.forEach((piece, id) => {
      const isEnd = piece.endsWith(WORD_END);
      const text = isEnd ? piece.slice(0, -1) : piece;
      if (tokenizer.controlIds.has(id) || bytes.has(id) || (text && !isWordPart(text))) return;
      if (!isEnd) open.push({ id, text, begins: !NEVER_FIRST.has(text[0]) });
      else if (!text || !NEVER_LAST.has(text[text.length - 1])) finishing.push({ id, text, begins: isWord(text) });
    });
    this.ends = new PieceSet(finishing);
    this.opens = new PieceSet(open);
    this.endsToken = Uint8Array.from(tokenizer.pieces, (piece) => Number(piece.endsWith(WORD_END)));
    this.endsToken[tokenizer.eosId] = 1;
    this.byteIds = tokenizer.byteIds;
  }

  /** Whether any piece starts with `rest` (folded, not empty), or `rest` with any open piece. */
  canContinue(rest: string): boolean {
    const isSome = ([first, stop]: Span): boolean => first < stop;
    if (isSome(this.ends.startingWith(rest)) || isSome(this.opens.startingWith(rest))) return true;
    for (let n = 1; n <= Math.min(rest.length, this.opens.longest); n++)
      if (isSome(this.opens.group(rest.slice(0, n)))) return true;
    return false;
  }
}
