/** Which keys there are and where: the letters from a layout of the engine, the rest of a phone's keyboard around them. */
import type { Tap } from "../keyboard/events";

export interface KeyRow {
  readonly keys: string;
  readonly left: number;
}

/** One of `layouts.json`; a unit is the width of a letter key. */
export interface Layout {
  readonly rows: readonly KeyRow[];
  readonly space: { readonly left: number; readonly width: number };
}

export type Action = "shift" | "backspace" | "letters" | "digits" | "symbols" | "return";
export type PageName = "letters" | "digits" | "symbols";

export interface Key {
  /** What it types; `""` for a key that does something else. */
  readonly char: string;
  readonly action: Action | null;
  readonly label: string;
  readonly name: string;
  readonly left: number;
  readonly width: number;
  readonly row: number;
}

export interface Page {
  readonly name: PageName;
  readonly width: number;
  readonly numRows: number;
  readonly keys: readonly Key[];
}

const ACTIONS: Readonly<Record<Action, readonly [string, string]>> = {
  shift: ["⇧", "Shift"],
  backspace: ["⌫", "Backspace"],
  letters: ["ABC", "ABC, letters"],
  digits: ["123", "123, digits and punctuation"],
  symbols: ["#+=", "#+=, more symbols"],
  return: ["⏎", "Return"],
};
const DIGITS = ["1234567890", "-/:;()$&@\"", ".,?!'"];
const SYMBOLS = ["[]{}#%^*+=", "_\\|~<>€£¥•", ".,?!'"];

const NAMES: Readonly<Record<string, string>> = {
  " ": "Space", ".": "Full stop", ",": "Comma", "'": "Apostrophe", '"': "Quotation mark", "?": "Question mark",
  "!": "Exclamation mark", "-": "Hyphen", "/": "Slash", ":": "Colon", ";": "Semicolon", "(": "Opening bracket",
  ")": "Closing bracket", "&": "And", "@": "At", "$": "Dollar", "_": "Underscore", "\\": "Backslash", "|": "Bar", "~": "Tilde",
  "<": "Less than", ">": "Greater than", "[": "Opening square bracket", "]": "Closing square bracket",
  "{": "Opening brace", "}": "Closing brace", "#": "Hash", "%": "Per cent", "^": "Caret", "*": "Asterisk", "+": "Plus",
  "=": "Equals", "€": "Euro", "£": "Pound", "¥": "Yen", "•": "Bullet",
};

/** What a long press offers, the key itself first. */
const ALTERNATIVES: Readonly<Record<string, string>> = {
  a: "àáâäæãåā", c: "çćč", e: "éèêëēę", g: "ğ", i: "îïíīìı", l: "ł", n: "ñń", o: "ôöòóœøōõ", s: "ßśš", t: "þ", u: "ûüùúū",
  y: "ÿ", z: "žźż", ".": "…", "?": "¿", "!": "¡", "'": "’‘`", '"': "“”„«»", "-": "–—", $: "€£¥₩", "&": "§", "%": "‰", "0": "°",
};

export const alternativesOf = (char: string): string[] => Array.from(ALTERNATIVES[char] ?? "");

/** The three pages of a keyboard with a layout's letters. */
export function pagesOf(layout: Layout): Readonly<Record<PageName, Page>> {
  const edges = layout.rows.map((row) => row.left + Array.from(row.keys).length);
  const width = Math.max(...edges, layout.space.left + layout.space.width);
  return {
    letters: letterPage(layout, width, edges),
    digits: markPage("digits", DIGITS, "symbols", layout, width),
    symbols: markPage("symbols", SYMBOLS, "digits", layout, width),
  };
}

function letterPage(layout: Layout, width: number, edges: readonly number[]): Page {
  const keys = layout.rows.flatMap((row, y) =>
    Array.from(row.keys, (char, column) => charKey(char, row.left + column, 1, y)),
  );
  const last = layout.rows.length - 1;
  const left = layout.rows[last].left;
  const right = width - edges[last];
  const lead: Action[] = [];
  const trail: Action[] = [];
  // Shift and backspace stand beside the last row of letters; where that has no room, in the row of the space bar.
  if (left >= 1) keys.push(actionKey("shift", 0, left, last));
  else lead.push("shift");
  if (right >= 1) keys.push(actionKey("backspace", edges[last], right, last));
  else trail.push("backspace");
  keys.push(...bottomRow(layout, width, [...lead, "digits"], trail));
  return { name: "letters", width, numRows: layout.rows.length + 1, keys };
}

function markPage(name: PageName, rows: readonly string[], more: Action, layout: Layout, width: number): Page {
  const keys = rows.flatMap((row, y) => {
    const chars = Array.from(row);
    const isLast = y === rows.length - 1;
    const side = isLast ? width * 0.15 : 0;
    const unit = (width - 2 * side) / chars.length;
    const found = chars.map((char, column) => charKey(char, side + column * unit, unit, y));
    return isLast ? [...found, actionKey(more, 0, side, y), actionKey("backspace", width - side, side, y)] : found;
  });
  keys.push(...bottomRow(layout, width, ["letters"], []));
  return { name, width, numRows: rows.length + 1, keys };
}

function bottomRow({ rows, space }: Layout, width: number, lead: readonly Action[], trail: readonly Action[]): Key[] {
  const y = rows.length;
  const before: readonly (Action | ",")[] = [...lead, ","];
  const behind: readonly (Action | ".")[] = [".", ...trail, "return"];
  const key = (what: string, left: number, unit: number): Key =>
    what in ACTIONS ? actionKey(what as Action, left, unit, y) : charKey(what, left, unit, y);
  const unit = space.left / before.length;
  const end = space.left + space.width;
  const endUnit = (width - end) / behind.length;
  return [
    ...before.map((what, i) => key(what, i * unit, unit)),
    charKey(" ", space.left, space.width, y),
    ...behind.map((what, i) => key(what, end + i * endUnit, endUnit)),
  ];
}

function charKey(char: string, left: number, width: number, row: number): Key {
  return { char, action: null, label: char === " " ? "space" : char, name: NAMES[char] ?? char, left, width, row };
}

function actionKey(action: Action, left: number, width: number, row: number): Key {
  const [label, name] = ACTIONS[action];
  return { char: "", action, label, name, left, width, row };
}

/** The key under a tap or, in the nearest row, nearest to it. */
export function keyAt(page: Page, tap: Tap): Key {
  const row = Math.min(Math.max(Math.floor(tap.y), 0), page.numRows - 1);
  const distance = ({ left, width }: Key): number => Math.max(left - tap.x, tap.x - left - width, 0);
  return page.keys.filter((key) => key.row === row).reduce((best, key) => (distance(key) < distance(best) ? key : best));
}
