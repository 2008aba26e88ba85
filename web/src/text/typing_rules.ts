/** What the text around a cursor says: which word is there, and what space and case come next. */
import { charsOf, firstChar, isBlank, isDecimal, type Chars } from "./characters";
import { isWordPart, JOIN, normalise, type TextForm } from "./form";
import { isBreak } from "./graphemes";

export const APOSTROPHES: ReadonlySet<string> = new Set("'\u2019\u02bc\uff07");
export const NUMBER_MARKS: ReadonlySet<string> = new Set(".,:");
export const LINE_BREAKS: ReadonlySet<string> = new Set("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029");
const MAX_LINE = 256; // how far back the rules for spaces look
const MAX_TAIL = 64; // how far back those for capitals look
const CLOSERS: ReadonlySet<string> = new Set([...APOSTROPHES, ..."\u060c\u061b\u061f\u06d4\u0964\u0965\u201d\u00bb"]);
const OPENING: ReadonlySet<string> = new Set("([{\"'\u2018\u201c\u00ab\u00bf\u00a1"); // before a sentence's first word
const KEY_CAP = "\u20e3";

/** Whether a character is one that words are made of, whatever is beside it. */
export function isWordChar(char: string): boolean {
  return !APOSTROPHES.has(char) && !NUMBER_MARKS.has(char) && isWordPart(char);
}

/** Where the word around a cursor begins and ends; twice the cursor between words and in front of one. */
export function wordSpan(text: Chars, cursor: number): [number, number] {
  let start = cursor;
  let end = cursor;
  while (start && isInWord(text, start - 1, cursor)) start--;
  while (start < cursor && !isBreak(text, start)) start++; // marks on an emoji
  if (start === cursor) return [cursor, cursor];
  while (end < text.length && isInWord(text, end, cursor)) end++;
  return text.slice(start, end).includes(KEY_CAP) ? [cursor, cursor] : [start, end];
}

function isInWord(text: Chars, index: number, cursor: number): boolean {
  const char = text[index];
  if (isWordChar(char)) return true;
  const isApostrophe = APOSTROPHES.has(char);
  if (index === 0 || !(isApostrophe || NUMBER_MARKS.has(char))) return false;
  const left = text[index - 1];
  const right = index + 1 < text.length ? text[index + 1] : "";
  if (isApostrophe) return isWordChar(left) && (index + 1 === cursor || (right !== "" && isWordChar(right)));
  return isDecimal(left) && isDecimal(right);
}

/** Where each word begins and ends that begins between two offsets (`start` not being inside one). */
export function wordsIn(text: Chars, start: number, end: number): [number, number][] {
  const words: [number, number][] = [];
  while (start < end) {
    const [first, last] = wordSpan(text, start + 1);
    if (first < last) words.push([first, last]);
    start = Math.max(last, start + 1);
  }
  return words;
}

/** The text before a cursor on its line, as far back as the rules look. */
export function lineBefore(text: Chars, cursor: number): string {
  const least = Math.max(cursor - MAX_LINE, 0);
  let start = cursor;
  while (start > least && !LINE_BREAKS.has(text[start - 1])) start--;
  return text.slice(start, cursor).join("");
}

/** Whether a letter after `line` gets the capital of a sentence. */
export function startsSentence(line: string, form: TextForm): boolean {
  const tail = charsOf(line).slice(-MAX_TAIL);
  const cut = tail.length === MAX_TAIL ? "x" : ""; // some word: before it nothing matters
  while (tail.length && OPENING.has(tail[tail.length - 1])) tail.pop();
  const isApart = !tail.length || isBlank(tail[tail.length - 1]);
  return isApart && form.splitTyped(cut + tail.join("")).startsSentence;
}

/** Whether the text form puts a space between the end of `line` and a word that comes next. */
export function needsSpace(line: string, form: TextForm): boolean {
  if (!line || isBlank(line[line.length - 1])) return false;
  const tokens = form.encodeTokens(normalise(line + "x"));
  return tokens.length > 1 && (tokens[tokens.length - 2].endsWith(JOIN) || tokens[tokens.length - 1].startsWith(JOIN));
}

/** Whether the text form puts no space between the word that `line` ends in and a mark that comes next. */
export function attaches(line: string, char: string, form: TextForm): boolean {
  const first = firstChar(char);
  if (isWordChar(first)) return false;
  if (CLOSERS.has(first)) return true;
  const mark = normalise(char);
  const tokens = form.encodeTokens(normalise(line + char));
  const last = tokens[tokens.length - 1];
  return Boolean(mark) && last.endsWith(mark) && !last.startsWith(JOIN);
}
