/**
 * The keyboard text form: typed text as space-separated tokens whose ends are visible.
 *
 * `docs/text.md` is the specification and `keyboard_lm/text/form.py` the implementation that models are trained with;
 * `tests/golden` holds what both have to give.
 */
import { BLANK, firstChar, isAlpha, isBlank, isOneChar, isUppercase, splitBlank } from "./characters";

export const JOIN = "\u2040"; // no space here, although the default has one
export const SPACE = "\u2423"; // a space here, although the default has none
export const META_SPACE = "\u2581"; // SentencePiece's own symbol for a space

const PUNCTUATION =
  "!-/:-@\\[-`{-~" + // ASCII
  "\\u00a1-\\u00a9\\u00ab\\u00ac\\u00ae-\\u00b1\\u00b4\\u00b6-\\u00b8\\u00bb\\u00bf\\u00d7\\u00f7" + // Latin-1
  "\\u055a-\\u055f\\u0589\\u058a\\u05be\\u05c0\\u05c3\\u05f3\\u05f4" + // Armenian, Hebrew
  "\\u060c\\u060d\\u061b\\u061d-\\u061f\\u066a-\\u066d\\u06d4\\u0964\\u0965" + // Arabic, Devanagari
  "\\u2010-\\u2027\\u2030-\\u205e\\u20a0-\\u20cf\\u2122\\u2190-\\u22ff\\u2423\\u2e00-\\u2e7f" + // general, currency, arrows
  "\\u3001-\\u3003\\u3008-\\u3020\\u3030\\u303d\\u30fb\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40\\uff5b-\\uff65"; // CJK
const PICTOGRAPH = "\\u2300-\\u23ff\\u25a0-\\u27bf\\u2b00-\\u2bff\\u{1f000}-\\u{1faff}";
const WORD = `[^${BLANK}${PUNCTUATION}${PICTOGRAPH}]`;
const EMOJI =
  "[\\u{1f1e6}-\\u{1f1ff}]{2}" + // flags
  "|[0-9#*]\\ufe0f?\\u20e3" + // key caps
  "|[\\u00a9\\u00ae\\u203c\\u2049\\u2122\\u2139\\u2194-\\u21aa\\u24c2\\u2934\\u2935\\u3030\\u303d\\u3297\\u3299]\\ufe0f" + // signs
  `|[${PICTOGRAPH}]` +
  "(?:[\\ufe0e\\ufe0f\\u{1f3fb}-\\u{1f3ff}\\u{e0020}-\\u{e007f}]" + // presentation, skin tone, tags
  `|\\u200d[${PICTOGRAPH}\\u2194-\\u2199])*`; // joined sequences
const EMOTICON =
  "(?:[:;=]['^o\\-]?[)(\\]\\[DPpOo/\\\\|*3S]|<\\/?3|[xX]D|\\^_+\\^|-_+-|[Tt]_[Tt]|[oO]_[oO]|:'\\()";
const WORD_TOKEN = `${WORD}+(?:'${WORD}+|(?<=\\p{Nd})[.,:](?=\\p{Nd})${WORD}+)*`;

const TOKEN_SOURCE =
  `(?<emoji>${EMOJI})` +
  `|(?<emoticon>(?<![^${BLANK}])${EMOTICON}(?![^${BLANK}.,!?]))` +
  "|(?<dotted>(?<![\\p{L}\\p{N}])(?:[\\p{L}\\p{Nl}\\p{No}]\\.){2,})" + // a.m., U.S., e.g.
  `|(?<word>${WORD_TOKEN})` +
  `|(?<punct>\\.{2,}|[!?]+|-{2,}|\\*+|_+|=+|~+|[^${BLANK}])`;
const TOKENS = new RegExp(TOKEN_SOURCE, "gu");
const FIRST_TOKEN = new RegExp(`^(?:${TOKEN_SOURCE})`, "u");
const ONE_WORD = new RegExp(`^${WORD_TOKEN}$`, "u");
const WORD_PART = new RegExp(`^(?:${WORD}|['.,:])+$`, "u");
const LETTER_EMOTICONS = new Set(["xD", "XD"]); // the ones that would be words where an emoticon cannot stand
const MAX_HEADS = 8;
const MAX_LINES = 64;
const PROBE = "x"; // any word: shows which marks the tokens before the cursor take

const setOf = (chars: string): ReadonlySet<string> => new Set(chars);
const CLOSERS = setOf(".,!?;:)]}%\u2026\u00b0\u2122\u00ae\u3001\u3002\uff0c\uff01\uff1f");
const OPENERS = setOf("([{#@$\u00a3\u20ac\u00bf\u00a1");
const GLUE = setOf("-/_\\\u2010\u2011\u2013\u2014");
const QUOTES = setOf("\"'`");
const SENTENCE_ENDS = setOf(".!?\u2026\u3002\uff01\uff1f");

const CONTROL =
  /[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufff9-\ufffb\ud800-\udfff]/gu;
const DROPPED = /[\u2040\u2423\u00ad\ufeff\u200b]/gu;
const SINGLE_QUOTES = /[\u2018\u2019\u201a\u201b\u2032\u02bc\uff07]/gu;
const DOUBLE_QUOTES = /[\u201c\u201d\u201e\u201f\u2033\uff02]/gu;
const LINE_BREAK = /[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+/u;
const BLANKS = new RegExp(`[${BLANK}]+`, "gu");
const FIRST_PERSON = new Set(["I", "I'm", "I've", "I'll", "I'd"]);
const PLAIN = /^[\x20-\x7e]*$/;

type TokenKind = "word" | "dotted" | "punct" | "emoji" | "emoticon";

function straight(text: string): string {
  if (PLAIN.test(text)) return text;
  return text
    .replace(CONTROL, "")
    .replace(DROPPED, "")
    .replace(SINGLE_QUOTES, "'")
    .replace(DOUBLE_QUOTES, '"')
    .replaceAll(META_SPACE, "_");
}

/** NFC, with straight quotes, single spaces and no control characters; line breaks survive as one `\n` each. */
export function normalise(text: string): string {
  return straight(text)
    .normalize("NFC")
    .split(LINE_BREAK)
    .map((line) => line.replace(BLANKS, " ").replace(/^ | $/g, ""))
    .filter((line) => line)
    .join("\n");
}

/** A text field as the predictor sees it. */
export interface TypedText {
  /** Form tokens of each finished line, oldest first; the last entry is the line being typed. */
  readonly messages: readonly (readonly string[])[];
  /** The word under the cursor as typed, `""` between words. */
  readonly partial: string;
  /** Whether the word under the cursor, or the next one, takes a sentence capital. */
  readonly startsSentence: boolean;
  /** Whether white space (or nothing) stands before the word under the cursor or the cursor itself. */
  readonly spaceBefore: boolean;
}

interface Head {
  readonly tokens: readonly string[];
  readonly starts: boolean;
}

/** Converts between typed text and the form; `properNouns` keep their capital at a sentence start. */
export class TextForm {
  readonly properNouns: ReadonlySet<string>;
  private readonly heads = new Map<string, Head>();
  private readonly lines = new Map<string, readonly string[]>(); // finished ones, which stay as they are

  constructor(properNouns: Iterable<string> = []) {
    this.properNouns = new Set(properNouns);
  }

  /** The form of one message (a line break counts as a space). */
  encode(message: string): string {
    return this.encodeTokens(normalise(message).replaceAll("\n", " ")).join(" ");
  }

  /** The form tokens of one message that `normalise` has already seen. */
  encodeTokens(message: string): string[] {
    return this.tokens(message).map(([token]) => token);
  }

  /** Each form token, and whether a word in its place starts a sentence. */
  private tokens(message: string): [string, boolean][] {
    // One token is held back: the mark for a missing or extra space before a word sits on the punctuation before it.
    const found: [string, boolean][] = [];
    const spacing = new Spacing();
    const sentence = new SentenceCase();
    let held: [string, boolean] | null = null;
    let heldIsWord = false;
    let end = 0;
    for (const match of message.matchAll(TOKENS)) {
      const token = match[0];
      let text = token;
      let kind = kindOf(match);
      if (kind === "word" && LETTER_EMOTICONS.has(token)) kind = "emoticon";
      const isWordToken = kind === "word" || kind === "dotted";
      const spaced = match.index > end;
      end = match.index + token.length;
      const starts = sentence.startsAt(spaced);
      if (starts && kind === "word") text = this.lowerSentenceStart(token);
      const byDefault = spacing.spaceBefore(token, kind === "punct");
      if (held) {
        if (spaced !== byDefault) {
          const mark = spaced ? SPACE : JOIN;
          if (isWordToken && !heldIsWord) held = [held[0] + mark, held[1]];
          else text = mark + text;
        }
        found.push(held);
      }
      sentence.feed(token, kind === "punct", isWordToken);
      held = [text, starts];
      heldIsWord = isWordToken;
    }
    if (held) found.push(held);
    return found;
  }

  private lowerSentenceStart(word: string): string {
    const first = firstChar(word);
    if (!isUppercase(first) || FIRST_PERSON.has(word) || this.properNouns.has(word)) return word;
    const rest = word.slice(first.length);
    const lowered = first.toLowerCase();
    if (rest !== rest.toLowerCase() || !isOneChar(lowered) || lowered.toUpperCase() !== first) return word;
    const small = lowered + rest;
    return small === small.normalize("NFC") ? small : word;
  }

  private raiseSentenceStart(word: string): string {
    const raised = capitalise(word);
    return this.lowerSentenceStart(raised) === word ? raised : word;
  }

  /** The text that a form stands for, with sentence capitals put back. */
  decode(form: string): string {
    return this.join(splitBlank(form));
  }

  /** The text of one message given its form tokens. */
  join(tokens: Iterable<string>): string {
    const spacing = new Spacing();
    const sentence = new SentenceCase();
    let text = "";
    let isFirst = true;
    let forced: string | null = null;
    for (const marked of tokens) {
      const [prefix, token, suffix] = splitMarks(marked);
      if (!token) continue;
      const kind = tokenKind(token);
      const byDefault = spacing.spaceBefore(token, kind === "punct");
      const mark = forced ?? prefix;
      const spaced = mark ? mark === SPACE : byDefault;
      if (!isFirst && spaced) text += " ";
      isFirst = false;
      text += kind === "word" && sentence.startsAt(spaced) ? this.raiseSentenceStart(token) : token;
      sentence.feed(token, kind === "punct", kind === "word" || kind === "dotted");
      forced = suffix;
    }
    return text;
  }

  /** Splits the text before the cursor into finished form tokens and the word being typed. */
  splitTyped(text: string): TypedText {
    const lines = text.split(LINE_BREAK);
    const messages = lines.slice(0, -1).map((raw) => this.finishedLine(raw)).filter((tokens) => tokens.length);
    const raw = straight(lines[lines.length - 1]);
    const line = normalise(raw);
    const endsBlank = !line || isBlank(raw[raw.length - 1]);
    const partial = endsBlank ? "" : lastWord(line);
    const head = line.slice(0, line.length - partial.length);
    const before = this.endsBefore(partial ? head : head + " ");
    const finished = !partial && !endsBlank ? this.encodeTokens(head) : before.tokens;
    const spaceBefore = partial ? !head || head.endsWith(" ") : endsBlank;
    return { messages: [...messages, finished], partial, startsSentence: before.starts, spaceBefore };
  }

  private finishedLine(raw: string): readonly string[] {
    let tokens = this.lines.get(raw);
    if (!tokens) {
      if (this.lines.size >= MAX_LINES) this.lines.clear();
      tokens = this.encodeTokens(normalise(raw));
      this.lines.set(raw, tokens);
    }
    return tokens;
  }

  private endsBefore(head: string): Head {
    // From one letter of a word to the next this stays as it is.
    let known = this.heads.get(head);
    if (!known) {
      const all = this.tokens(head + PROBE);
      if (this.heads.size >= MAX_HEADS) this.heads.clear();
      known = { tokens: all.slice(0, -1).map(([token]) => token), starts: all[all.length - 1][1] };
      this.heads.set(head, known);
    }
    return known;
  }
}

function kindOf(match: RegExpMatchArray): TokenKind {
  const groups = match.groups!;
  if (groups.word !== undefined) return "word";
  if (groups.punct !== undefined) return "punct";
  if (groups.emoji !== undefined) return "emoji";
  return groups.dotted !== undefined ? "dotted" : "emoticon";
}

/** The word that reaches the end of `line`, with an apostrophe that a letter may still follow; or "". */
function lastWord(line: string): string {
  const matches = [...line.matchAll(TOKENS)];
  const last = matches.at(-1);
  const before = matches.at(-2);
  if (last && kindOf(last) === "word") return LETTER_EMOTICONS.has(last[0]) ? "" : last[0];
  if (before && last && last[0] === "'" && kindOf(before) === "word")
    return before.index! + before[0].length === last.index ? line.slice(before.index) : "";
  return "";
}

/** The word with the capital that a keyboard gives to the first word of a sentence. */
export function capitalise(word: string): string {
  const first = firstChar(word);
  const upper = first.toUpperCase();
  if (word !== word.toLowerCase() || !isOneChar(upper) || upper.toLowerCase() !== first) return word;
  const raised = upper + word.slice(first.length);
  return raised === raised.normalize("NFC") ? raised : word;
}

/** The kind of a form token without its marks. */
export function tokenKind(token: string): TokenKind {
  const match = FIRST_TOKEN.exec(token);
  return match ? kindOf(match) : "punct";
}

/** Whether `text` is exactly one form token of the kind `word`. */
export function isWord(text: string): boolean {
  if (LETTER_EMOTICONS.has(text)) return false;
  return isAlpha(text) || (ONE_WORD.test(text) && tokenKind(text) === "word"); // a key cap only looks like a word
}

/** Whether every character may stand inside a word, an apostrophe or a decimal point included. */
export function isWordPart(text: string): boolean {
  return isAlpha(text) || WORD_PART.test(text);
}

/** A form token as (mark before it, the token, mark after it). */
export function splitMarks(marked: string): [string | null, string, string | null] {
  const isMark = (char: string): boolean => char === JOIN || char === SPACE;
  const prefix = marked && isMark(marked[0]) ? marked[0] : null;
  const token = prefix ? marked.slice(1) : marked;
  const suffix = token && isMark(token[token.length - 1]) ? token[token.length - 1] : null;
  return [prefix, suffix ? token.slice(0, -1) : token, suffix];
}

/** The default space between two tokens, from their classes and the open quotes. */
class Spacing {
  private gluedRight = false;
  private readonly open = new Set<string>();

  spaceBefore(token: string, isPunctuation: boolean): boolean {
    let gluedLeft = false;
    let gluedRight = false;
    if (isPunctuation) {
      const first = firstChar(token);
      if (CLOSERS.has(first)) gluedLeft = true;
      else if (OPENERS.has(first)) gluedRight = true;
      else if (GLUE.has(first)) gluedLeft = gluedRight = true;
      else if (QUOTES.has(first)) {
        if (this.open.delete(first)) gluedLeft = true;
        else {
          this.open.add(first);
          gluedRight = true;
        }
      }
    }
    const space = !(gluedLeft || this.gluedRight);
    this.gluedRight = gluedRight;
    return space;
  }
}

/** Whether the next word is the first of a sentence. */
class SentenceCase {
  private starts = true;
  private afterEnd = false;

  startsAt(spaced: boolean): boolean {
    return this.starts && (spaced || !this.afterEnd); // in `example.com` the second word does not
  }

  feed(token: string, isPunctuation: boolean, isWordToken: boolean): void {
    this.afterEnd = false;
    if (isWordToken) this.starts = false;
    else if (isPunctuation) {
      const first = firstChar(token);
      if (SENTENCE_ENDS.has(token[token.length - 1]) && !token.startsWith("..")) this.starts = this.afterEnd = true;
      else if (!QUOTES.has(first) && !OPENERS.has(first) && !")]}".includes(first)) this.starts = false;
    }
  }
}
