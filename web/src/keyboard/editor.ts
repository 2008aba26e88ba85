/**
 * What a phone's keyboard does to the text of a field, whatever is suggested: spaces, capitals, corrections, undo.
 *
 * A port of `keyboard_lm/keyboard/editor.py`, held to it by `tests/golden/editor.json`.
 */
import { charsOf, firstChar, isBlank, isDecimal, isOneChar, trimEnd, BLANK, type Chars } from "../text/characters";
import { capitalise, normalise, TextForm } from "../text/form";
import { clusterStart } from "../text/graphemes";
import {
  APOSTROPHES,
  attaches,
  isWordChar,
  LINE_BREAKS,
  lineBefore,
  needsSpace,
  NUMBER_MARKS,
  startsSentence,
  wordSpan,
  wordsIn,
} from "../text/typing_rules";
import { NO_EDIT, type Correction, type Edit, type Event, type FinishedWord, type Shift, type Tap, type Undone } from "./events";

const MAX_TAPS = 64; // of the last characters; longer words have none at their beginning
const ADDRESS_MARKS: ReadonlySet<string> = new Set("@#/\\_"); // what they join is neither corrected nor learned
const PART_MARKS: ReadonlySet<string> = new Set([...ADDRESS_MARKS, "."]);
const CLOSING: ReadonlySet<string> = new Set(")]}\"'\u2019\u201d\u00bb%"); // what a sentence may end in before its full stop
const FIRST_WORD = new RegExp(`^[${BLANK}]*[^${BLANK}]+`, "u");
const LETTER_OR_NUMBER = /^[\p{L}\p{N}]/u;
type Taps = readonly (Tap | null)[];
type SpaceBy = readonly [number, "typed" | "auto"]; // the place of the last space and who made it

/** What depends on the language and on taste. */
export interface EditorOptions {
  /** Words, in small letters, that get a capital when they are finished. */
  readonly capitalWords: ReadonlySet<string>;
  /** What the first of two spaces becomes; `""` leaves it. */
  readonly fullStop: string;
  /** Whether the first letter of a sentence gets a capital. */
  readonly sentenceCapitals: boolean;
}

export const DEFAULT_OPTIONS: EditorOptions = {
  capitalWords: new Set(["i", "i'm", "i've", "i'll", "i'd"]),
  fullStop: ".",
  sentenceCapitals: true,
};

interface Undo {
  readonly inserted: Chars;
  readonly restored: Chars;
  readonly taps: Taps;
  readonly space: SpaceBy | null;
  readonly undone: Undone | null;
}

interface Finished {
  readonly start: number;
  readonly end: number;
  readonly word: FinishedWord;
}

/** One text field under a keyboard; slots and corrections are inserted as they are. */
export class Editor {
  options: EditorOptions;
  isPrivate = false;
  cursor = 0;
  private readonly form: TextForm;
  private chars: string[] = [];
  private kept = new Set<number>(); // starts of words that are not to be corrected
  private pending: Finished | null = null; // the last finished word, not yet reported
  private reported: FinishedWord[] = [];
  private shiftState: "auto" | "off" | "once" | "lock" = "auto";
  private typedFrom = 0; // what is between here and the cursor was typed without going elsewhere
  private lastTaps: Taps = []; // of the last characters before the cursor
  private space: SpaceBy | null = null; // while nothing before it changes
  private undo: Undo | null = null;
  private swiped: [number, number] | null = null; // the word just swiped, which the next backspace takes away

  constructor(options: EditorOptions = DEFAULT_OPTIONS, form = new TextForm()) {
    this.options = options;
    this.form = form;
  }

  get text(): string {
    return this.chars.join("");
  }

  /** The text before the cursor. */
  get before(): string {
    return this.chars.slice(0, this.cursor).join("");
  }

  /** The whole word under the cursor; `""` between words and in front of one. */
  get word(): string {
    const [start, end] = wordSpan(this.chars, this.cursor);
    return this.chars.slice(start, end).join("");
  }

  /** Whether no letter of the word under the cursor is behind it. */
  get wordEndsHere(): boolean {
    return wordSpan(this.chars, this.cursor)[1] === this.cursor;
  }

  /** Which letters the keys show: small ones, capitals for the next one, capitals. */
  get shift(): Shift {
    if (this.shiftState !== "auto") return this.shiftState === "once" ? "on" : this.shiftState;
    return this.options.sentenceCapitals && startsSentence(this.line(), this.form) ? "on" : "off";
  }

  /** Whether the space before the cursor came with an accepted word, to go again before punctuation. */
  get hasAutoSpace(): boolean {
    return this.space !== null && this.space[0] === this.cursor - 1 && this.space[1] === "auto";
  }

  /** Whether the end of a word typed now would apply a correction. */
  allows(correction: Correction): boolean {
    const replaced = charsOf(correction.replaced);
    const start = this.cursor - replaced.length;
    const mark = start > 0 ? this.chars[start - 1] : "";
    return (
      correction.replaced !== "" &&
      correction.replaced !== correction.text &&
      this.endsIn(replaced) &&
      this.wordEndsHere &&
      wordSpan(this.chars, start)[0] === start &&
      !PART_MARKS.has(mark) &&
      ![...this.kept].some((kept) => start <= kept && kept < this.cursor)
    );
  }

  /** Brings the field to where an event leaves it; returns what the keyboard has to do for that. */
  apply(event: Event): Edit {
    this.reported = [];
    const { swiped } = this;
    this.swiped = null;
    if (swiped && !(event.type === "backspaced" && this.undo)) this.finish(...swiped);
    let edit = NO_EDIT;
    switch (event.type) {
      case "typed":
        edit = this.type(event.char, event.tap ?? null, event.correction ?? null);
        break;
      case "swiped":
        edit = this.swipe(event.word ?? "");
        break;
      case "backspaced":
        edit = this.backspace();
        break;
      case "shift_pressed":
        if (this.shift === (event.lock ? "lock" : "off")) this.shiftState = event.lock ? "off" : "once";
        else this.shiftState = event.lock ? "lock" : "off";
        break;
      case "slot_accepted":
        edit = this.acceptSlot(event.word, event.replaced ?? null);
        break;
      case "ghost_accepted":
        edit = this.acceptGhost(event.ghost, event.only_word);
        break;
      case "cursor_moved":
        this.moveTo(Math.min(Math.max(event.cursor, 0), this.chars.length));
        break;
      case "text_changed":
        this.change(charsOf(event.text), event.cursor);
        break;
      case "field_started":
        this.leave(true);
        this.isPrivate = event.is_private;
        this.shiftState = "auto";
        this.restart(charsOf(event.text));
        this.place(this.chars.length);
        break;
    }
    return { ...edit, finished: this.reported };
  }

  private moveTo(cursor: number): void {
    if (cursor === this.cursor) return;
    const [start, end] = wordSpan(this.chars, this.cursor);
    this.leave(cursor < start || cursor > end);
    this.place(cursor);
  }

  private change(chars: string[], offset: number): void {
    const cursor = Math.min(Math.max(offset, 0), chars.length);
    if (cursor === this.cursor && chars.join("") === this.text) return;
    this.leave(!chars.length); // an emptied field was sent
    this.restart(chars);
    this.place(cursor);
  }

  private restart(chars: string[]): void {
    this.chars = chars;
    this.kept = new Set();
  }

  private place(cursor: number): void {
    this.cursor = this.typedFrom = cursor;
    this.lastTaps = [];
    this.space = this.undo = null;
    this.releaseShift();
  }

  private type(typed: string, tap: Tap | null, offered: Correction | null): Edit {
    if (!typed) return NO_EDIT;
    const char = this.cased(typed);
    this.releaseShift();
    const at = this.cursor;
    const taps = [...this.lastTaps, tap];
    if (char === " " && this.hasAutoSpace) {
      this.space = [at - 1, "typed"];
      this.undo = null;
      return NO_EDIT;
    }
    this.keepIfInside();
    let edit: Edit;
    if (char === " " && this.endsSentence()) {
      const fullStop = charsOf(this.options.fullStop + char);
      edit = this.splice(at - 1, at, fullStop);
      this.undo = { inserted: fullStop, restored: [" ", " "], taps, space: [at, "typed"], undone: null };
    } else if (this.hasAutoSpace && attaches(lineBefore(this.chars, at - 1), char, this.form)) {
      edit = this.splice(at - 1, at, charsOf(char), tap);
      this.undo = { inserted: charsOf(char), restored: [" "], taps: taps.slice(0, -1), space: [at - 1, "auto"], undone: null };
    } else {
      edit = this.insert(char, tap, taps, offered);
    }
    if (char === " ") this.space = [this.cursor - 1, "typed"];
    this.keepIfInside();
    return edit;
  }

  private insert(char: string, tap: Tap | null, taps: Taps, offered: Correction | null): Edit {
    const at = this.cursor;
    const ended = this.endedWord(char);
    const correction = ended && this.correction(ended, offered);
    if (!correction) {
      const edit = this.splice(at, at, charsOf(char), tap);
      if (ended) this.finish(...ended);
      return edit;
    }
    const start = at - charsOf(correction.replaced).length;
    const edit = { ...this.splice(start, at, charsOf(correction.text + char), tap), correction };
    this.undo = {
      inserted: charsOf(edit.inserted),
      restored: charsOf(correction.replaced + char),
      taps,
      space: char === " " ? [at, "typed"] : null,
      undone: { literal: correction.replaced, corrected: correction.text },
    };
    this.finish(start, this.cursor);
    return edit;
  }

  private backspace(): Edit {
    const undo = this.undo;
    if (!undo) {
      this.keepIfInside();
      const edit = this.splice(clusterStart(this.chars, this.cursor), this.cursor, []);
      this.keepIfInside();
      return edit;
    }
    const start = this.cursor - undo.inserted.length;
    const edit = { ...this.splice(start, this.cursor, undo.restored), undone: undo.undone };
    this.lastTaps = undo.taps.slice(-MAX_TAPS);
    this.space = undo.space;
    if (undo.undone) this.keep(start);
    if (undo.restored.length) this.finish(wordSpan(this.chars, start)[0], this.cursor);
    return edit;
  }

  private acceptSlot(word: string, replaced: string | null): Edit {
    if (!word) return NO_EDIT;
    let [start, end] = wordSpan(this.chars, this.cursor);
    const replacedChars = charsOf(replaced ?? "");
    if (replaced === "") {
      if (end === this.cursor) this.finish(start, end); // the word under the cursor stays
      start = end = this.cursor;
    } else if (replaced && this.endsIn(replacedChars)) {
      const first = this.cursor - replacedChars.length;
      if (wordSpan(this.chars, first)[0] === first && first < start) start = first;
    }
    const lead = start === end && needsSpace(this.line(), this.form) ? " " : "";
    return this.insertAccepted(start, end, lead + word, start);
  }

  private acceptGhost(ghost: string, onlyWord: boolean): Edit {
    const first = FIRST_WORD.exec(ghost);
    if (!first) return NO_EDIT;
    const accepted = onlyWord ? first[0] : trimEnd(ghost);
    const [start, end] = wordSpan(this.chars, this.cursor);
    return this.insertAccepted(this.cursor, isBlank(firstChar(ghost)) ? this.cursor : end, accepted, start);
  }

  private insertAccepted(start: number, end: number, inserted: string, wordsFrom: number): Edit {
    const edit = this.insertSpaced(start, end, inserted);
    this.keep(wordsFrom);
    this.finish(wordsFrom, this.cursor - 1);
    return edit;
  }

  /** Inserts text with a space behind it, unless something stands there that needs none. */
  private insertSpaced(start: number, end: number, inserted: string): Edit {
    const after = end < this.chars.length ? this.chars[end] : "";
    const isApart = after !== "" && !LINE_BREAKS.has(after) && (isBlank(after) || attaches(inserted, after, this.form));
    // "a" before "'tis", "3" before ".5": what attaches as a mark would make one word with what is behind it.
    const chars = charsOf(inserted);
    const runsOn = wordSpan([...chars, ...this.chars.slice(end, end + 2)], chars.length)[1] > chars.length;
    const trail = (isApart && !runsOn) || isBlank(inserted[inserted.length - 1]) ? "" : " ";
    const edit = this.splice(start, end, charsOf(inserted + trail));
    if (trail) this.space = [this.cursor - 1, "auto"];
    this.releaseShift();
    return edit;
  }

  /** A word read from a finger's path. A half-typed word stays as it is, for it cannot be put back; `i` becomes `I`. */
  private swipe(word: string): Edit {
    if (!word) return NO_EDIT;
    this.keepIfInside();
    const at = this.cursor;
    const { lastTaps: taps, space } = this;
    const [start, end] = wordSpan(this.chars, at);
    const isEnded = start < end && end === at;
    const own = isEnded ? this.correction([start, end], null) : null;
    const first = own ? at - charsOf(own.replaced).length : at;
    const swiped = this.lead() + word;
    const edit = this.insertSpaced(first, at, (own ? own.text : "") + swiped);
    this.undo = { inserted: charsOf(edit.inserted).slice(at - first), restored: [], taps, space, undone: null };
    if (isEnded) this.finish(start, end);
    const begins = at + charsOf(swiped).length - charsOf(word).length;
    this.swiped = [begins, begins + charsOf(word).length];
    return { ...edit, correction: own };
  }

  /** What stands between the text before the cursor and a word that is no part of the one under it. */
  private lead(): string {
    const [start] = wordSpan(this.chars, this.cursor);
    return start < this.cursor || needsSpace(this.line(), this.form) ? " " : "";
  }

  /** Replaces text around the cursor and moves along what is remembered by its place. */
  private splice(start: number, end: number, inserted: Chars, tap: Tap | null = null): Edit {
    const edit: Edit = {
      ...NO_EDIT,
      deletedBefore: this.chars.slice(start, this.cursor).join(""),
      deletedAfter: this.chars.slice(this.cursor, end).join(""),
      inserted: inserted.join(""),
    };
    const longer = inserted.length - (end - start);
    const kept = new Set<number>();
    for (const place of this.kept) if (place < start || place >= end) kept.add(place >= end ? place + longer : place);
    this.kept = kept;
    const taps = this.lastTaps.slice(0, Math.max(this.lastTaps.length - (this.cursor - start), 0));
    const added = inserted.map((_, i) => (i === inserted.length - 1 ? tap : null));
    this.lastTaps = [...taps, ...added].slice(-MAX_TAPS);
    this.chars.splice(start, end - start, ...inserted);
    this.cursor = start + inserted.length;
    this.typedFrom = Math.min(this.typedFrom, start);
    this.undo = null;
    if (this.space && start <= this.space[0]) this.space = null;
    if (this.pending) {
      const isLeft = start >= this.pending.end && this.pending.end < this.cursor;
      if (!isLeft || wordSpan(this.chars, this.cursor)[0] === this.pending.start) this.pending = null;
    }
    return edit;
  }

  /**
   * The word before the cursor that `char` ends. A full stop after a digit or a single letter ("3.5", "e.g.") does not
   * tell yet; the space after it does.
   */
  private endedWord(char: string): [number, number] | null {
    const at = this.cursor;
    const first = firstChar(char);
    if (isWordChar(first) || APOSTROPHES.has(first) || ADDRESS_MARKS.has(first) || wordSpan(this.chars, at)[1] > at) return null;
    const end = isBlank(first) && at > 0 && this.chars[at - 1] === "." ? at - 1 : at;
    const start = wordSpan(this.chars, end)[0];
    if (start === end) return null;
    const isNumber = isDecimal(this.chars[end - 1]);
    const isShort = isNumber || end - start === 1;
    if (end < at) return isShort && (start === 0 || this.chars[start - 1] !== ".") ? [start, end] : null;
    return (isNumber && NUMBER_MARKS.has(first)) || (isShort && first === ".") ? null : [start, end];
  }

  private correction([start, end]: [number, number], offered: Correction | null): Correction | null {
    if (offered && this.allows(offered)) return offered;
    const word = this.chars.slice(start, end).join("");
    const rest = this.chars.slice(end, this.cursor).join("");
    const own = { replaced: word + rest, text: capitalise(word) + rest };
    return this.options.capitalWords.has(normalise(word)) && this.allows(own) ? own : null;
  }

  private keep(start: number): void {
    for (const [wordStart] of wordsIn(this.chars, start, this.cursor)) this.kept.add(wordStart);
  }

  private keepIfInside(): void {
    const [start, end] = wordSpan(this.chars, this.cursor);
    if (end > this.cursor) this.kept.add(start).add(this.cursor);
  }

  /** Words between the two offsets that were typed here wait to be reported, each for the next. */
  private finish(start: number, end: number): void {
    for (const [wordStart, wordEnd] of wordsIn(this.chars, start, end)) {
      const isWaiting = this.pending !== null && this.pending.start === wordStart;
      const isPart = wordStart > 0 && PART_MARKS.has(this.chars[wordStart - 1]);
      if (wordEnd > end || wordEnd <= this.typedFrom || isWaiting || isPart || this.isPrivate) continue;
      this.report();
      const word: FinishedWord = {
        word: this.chars.slice(wordStart, wordEnd).join(""),
        context: lineBefore(this.chars, wordStart),
        isMeant: this.kept.has(wordStart),
      };
      this.pending = { start: wordStart, end: wordEnd, word };
    }
  }

  private leave(isWordLeft: boolean): void {
    const [start, end] = wordSpan(this.chars, this.cursor);
    if (isWordLeft && end === this.cursor) this.finish(start, end);
    this.report();
  }

  private report(): void {
    if (this.pending) this.reported.push(this.pending.word);
    this.pending = null;
  }

  private releaseShift(): void {
    if (this.shiftState !== "lock") this.shiftState = "auto";
  }

  private cased(char: string): string {
    const upper = char.toUpperCase();
    return isOneChar(char) && isOneChar(upper) && upper !== char && this.shift !== "off" ? upper : char;
  }

  /** Whether one more space makes the one before the cursor a full stop. */
  private endsSentence(): boolean {
    const at = this.cursor - 1;
    const isTyped = this.space !== null && this.space[0] === at && this.space[1] === "typed";
    if (!this.options.fullStop || at < 1 || !isTyped) return false;
    const last = this.chars[clusterStart(this.chars, at)];
    return LETTER_OR_NUMBER.test(last) || CLOSING.has(last);
  }

  private line(): string {
    return lineBefore(this.chars, this.cursor);
  }

  private endsIn(end: Chars): boolean {
    const from = this.cursor - end.length;
    return from >= 0 && end.every((char, i) => this.chars[from + i] === char);
  }
}
