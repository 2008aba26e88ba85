/** A keyboard as the page sees it: told what happens, it answers with edits and bars, wherever they are made. */
import type { Correction, Edit, Event, Shift } from "../keyboard/events";

export type Kind = "literal" | "correction" | "completion" | "next_word" | "emoji" | "swiped";

export interface Slot {
  readonly text: string;
  readonly kind: Kind;
  readonly probability: number;
  /** The end of the text before the cursor that it stands for. */
  readonly replaced: string;
}

export interface Bar {
  readonly revision: number;
  readonly slots: readonly Slot[];
  readonly correction: Correction | null;
  readonly ghost: { readonly text: string; readonly probability: number } | null;
}

export interface LearnedWords {
  readonly words: readonly string[];
  readonly numWords: number;
  readonly learning: Learning;
}

export type Learning = "off" | "memory" | "file";
export type State = "opening" | "ready" | "lost" | "failed";

/** A field as it stands. */
export interface FieldState {
  readonly text: string;
  readonly cursor: number;
  readonly isPrivate: boolean;
}

export interface Listener {
  /** What to do to the field for an event of a revision; nothing where the event says what has happened already. */
  onEdit(revision: number, edit: Edit): void;
  onShift(shift: Shift): void;
  onBar(bar: Bar): void;
  onState(state: State, message: string): void;
  onLearned(learned: LearnedWords): void;
  field(): FieldState;
}

export interface Session {
  /** Tells an event; returns the revision of the field that it makes. */
  send(event: Event): number;
  readonly revision: number;
  /** Whether words are read from a finger's path. */
  readonly readsPaths: boolean;
  askLearned(): void;
  forgetWord(word: string): void;
  forgetAll(): void;
  close(): void;
}
