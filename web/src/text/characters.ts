/** Characters as Python has them, which the text form is written in: white space, case, order, code points. */

/** White space (`str.isspace`), for the inside of a character class; JavaScript's `\s` has other members. */
export const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const IS_BLANK = new RegExp(`^[${BLANK}]+$`, "u");
const IS_ALPHA = /^\p{L}+$/u;
const IS_DECIMAL = /^\p{Nd}+$/u;
const IS_UPPERCASE = /^\p{Uppercase}$/u;
const IS_ASCII = /^[\x00-\x7f]*$/;

/** The code points of a text, one string each; offsets of the project count these. */
export type Chars = readonly string[];

export const charsOf = (text: string): string[] => Array.from(text);

export const isBlank = (text: string): boolean => IS_BLANK.test(text);

export const isAlpha = (text: string): boolean => IS_ALPHA.test(text);

export const isDecimal = (text: string): boolean => IS_DECIMAL.test(text);

export const isUppercase = (char: string): boolean => IS_UPPERCASE.test(char);

/** Whether a text has capitals and no small letters. */
export function isAllUpper(text: string): boolean {
  let some = false;
  for (const char of text) {
    if (/[\p{Lowercase}\p{Lt}]/u.test(char)) return false;
    some ||= isUppercase(char);
  }
  return some;
}

/** Whether a text is one code point long. */
export function isOneChar(text: string): boolean {
  return text.length === 1 || (text.length === 2 && text.codePointAt(0)! > 0xffff);
}

export function firstChar(text: string): string {
  return text ? String.fromCodePoint(text.codePointAt(0)!) : "";
}

/** Lower case, code point by code point, so that the number of them stays. */
export function fold(text: string): string {
  if (IS_ASCII.test(text)) return text.toLowerCase();
  let folded = "";
  for (const char of text) {
    const low = char.toLowerCase();
    folded += isOneChar(low) ? low : char;
  }
  return folded;
}

/** Order by code points; JavaScript's own is by UTF-16 units. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for what comes after U+FFFF.
    if (x >= 0xd800 && y >= 0xd800) {
      x += x >= 0xe000 ? 0 : 0x10000;
      y += y >= 0xe000 ? 0 : 0x10000;
    }
    return x - y;
  }
  return a.length - b.length;
}

/** Python's `str.split()`. */
export function splitBlank(text: string): string[] {
  return text.split(BLANKS).filter((part) => part);
}

const BLANKS = new RegExp(`[${BLANK}]+`, "u");
const TRAILING_BLANK = new RegExp(`[${BLANK}]+$`, "u");

export const trimEnd = (text: string): string => text.replace(TRAILING_BLANK, "");
