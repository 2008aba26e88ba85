/** Where the characters that a reader sees begin: what one press of backspace deletes (`keyboard_lm/text/graphemes.py`). */
import type { Chars } from "./characters";

const JOINER = "\u200d";
const PICTOGRAPH =
  /^[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u2300-\u23ff\u24c2\u25a0-\u27bf\u2934\u2935\u2b00-\u2bff\u3030\u303d\u3297\u3299\u{1f000}-\u{1f1e5}\u{1f200}-\u{1f3fa}\u{1f400}-\u{1faff}\u{1fc00}-\u{1fffd}]/u;
const EXTENDS = /^[\u200c\u200d\u0e33\u0eb3\uff9e\uff9f\u{1f3fb}-\u{1f3ff}\u{e0020}-\u{e007f}]/u;
const PREPENDS = /^[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u{110bd}\u{110cd}]/u;
const FLAG_LETTER = /^[\u{1f1e6}-\u{1f1ff}]/u;
const CONTROL = /^[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const MARK = /^\p{M}/u;

/** Whether a cluster begins at `index` (or the text ends there). */
export function isBreak(text: Chars, index: number): boolean {
  if (index <= 0 || index >= text.length) return true;
  const before = text[index - 1];
  const after = text[index];
  const beforeCode = before.codePointAt(0)!;
  const afterCode = after.codePointAt(0)!;
  if (beforeCode < 0x300 && afterCode < 0x300) return before !== "\r" || after !== "\n";
  if (isControl(before) || isControl(after)) return true;
  if (extendsCluster(after) || PREPENDS.test(before)) return false;
  if (before === JOINER && PICTOGRAPH.test(after)) {
    let base = index - 2;
    while (base > 0 && text[base] !== JOINER && extendsCluster(text[base])) base--;
    return base < 0 || !PICTOGRAPH.test(text[base]);
  }
  if (FLAG_LETTER.test(before) && FLAG_LETTER.test(after)) {
    let first = index;
    while (first && FLAG_LETTER.test(text[first - 1])) first--;
    return (index - first) % 2 === 0;
  }
  return !isOneSyllable(beforeCode, afterCode);
}

/** Where the cluster begins that ends at `end`, whatever comes after; 0 at the beginning. */
export function clusterStart(text: Chars, end: number): number {
  let start = Math.max(end - 1, 0);
  while (!isBreak(text, start)) start--;
  return start;
}

function isControl(char: string): boolean {
  return CONTROL.test(char) && !EXTENDS.test(char) && !PREPENDS.test(char);
}

function extendsCluster(char: string): boolean {
  return MARK.test(char) || EXTENDS.test(char);
}

function isOneSyllable(before: number, after: number): boolean {
  // Hangul: leading consonants, vowels, trailing consonants; precomposed syllables end in a vowel or a consonant.
  const isSyllable = before >= 0xac00 && before <= 0xd7a3;
  const isVowel = within(after, 0x1160, 0x11a7, 0xd7b0, 0xd7c6);
  const isTrailing = within(after, 0x11a8, 0x11ff, 0xd7cb, 0xd7fb);
  if (within(before, 0x1100, 0x115f, 0xa960, 0xa97c))
    return isVowel || (after >= 0xac00 && after <= 0xd7a3) || within(after, 0x1100, 0x115f, 0xa960, 0xa97c);
  if (within(before, 0x1160, 0x11a7, 0xd7b0, 0xd7c6) || (isSyllable && (before - 0xac00) % 28 === 0))
    return isVowel || isTrailing;
  return (isSyllable || within(before, 0x11a8, 0x11ff, 0xd7cb, 0xd7fb)) && isTrailing;
}

function within(code: number, first: number, last: number, moreFirst: number, moreLast: number): boolean {
  return (first <= code && code <= last) || (moreFirst <= code && code <= moreLast);
}
