/** What a text field's keyboard is told, and what it answers (`keyboard_lm/keyboard/events.py`). Offsets are in code points. */

/** Where a finger touched, in key widths and heights from the top left corner of the layout's letter rows. */
export interface Tap {
  readonly x: number;
  readonly y: number;
}

/** What a space typed now would change: the end of the text before the cursor, and what would stand there. */
export interface Correction {
  readonly replaced: string;
  readonly text: string;
}

/** A point of a finger's path, with the time since it began. */
export interface PathPoint extends Tap {
  readonly t_ms: number;
}

export type Event =
  | { readonly type: "typed"; readonly char: string; readonly tap?: Tap | null; readonly correction?: Correction | null }
  | { readonly type: "swiped"; readonly path: readonly PathPoint[]; readonly word?: string }
  | { readonly type: "backspaced" }
  | { readonly type: "shift_pressed"; readonly lock: boolean }
  | { readonly type: "slot_accepted"; readonly word: string; readonly replaced?: string | null }
  | { readonly type: "ghost_accepted"; readonly ghost: string; readonly only_word: boolean }
  | { readonly type: "cursor_moved"; readonly cursor: number }
  | { readonly type: "text_changed"; readonly text: string; readonly cursor: number }
  | { readonly type: "field_started"; readonly text: string; readonly is_private: boolean };

/** A word that the writer has left standing; a keyboard that learns would learn it. */
export interface FinishedWord {
  readonly word: string;
  readonly context: string;
  readonly isMeant: boolean;
}

/** A correction that the writer took back. */
export interface Undone {
  readonly literal: string;
  readonly corrected: string;
}

/** What the keyboard does to the field: text goes before and behind the cursor, then text comes. */
export interface Edit {
  readonly deletedBefore: string;
  readonly deletedAfter: string;
  readonly inserted: string;
  readonly correction: Correction | null;
  readonly undone: Undone | null;
  readonly finished: readonly FinishedWord[];
}

export const NO_EDIT: Edit = {
  deletedBefore: "",
  deletedAfter: "",
  inserted: "",
  correction: null,
  undone: null,
  finished: [],
};

export type Shift = "off" | "on" | "lock";
