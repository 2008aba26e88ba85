/** The keyboard as the service has it: the published client, as the page wants to see a keyboard. */
import { RemoteKeyboard, type Event as Told, type Failure } from "../../../clients/typescript/keyboard_lm";
import type { Event } from "../keyboard/events";
import type { Learning, Listener, Session } from "./session";

const FIRST_PAUSE_MS = 500;
const MOST_LEARNED = 100; // words that are shown

export interface RemoteOptions {
  readonly url: string;
  readonly layout: string;
  readonly learning: Learning;
  readonly token: string;
  readonly numSlots: number;
}

export class RemoteSession implements Session {
  readonly readsPaths = true;
  private readonly keyboard: RemoteKeyboard;

  constructor(listener: Listener, { numSlots, ...options }: RemoteOptions) {
    const { text, cursor, isPrivate } = listener.field();
    listener.onState("opening", "Connecting …");
    this.keyboard = new RemoteKeyboard(
      { ...options, num_slots: numSlots, text, cursor, is_private: isPrivate, first_pause_ms: FIRST_PAUSE_MS },
      {
        onWelcome: ({ model, learning, shift }) => {
          listener.onState("ready", `The service answers (model ${model.slice(0, 8)}, learning ${learning}).`);
          listener.onShift(shift);
        },
        onEdit: (edit) => {
          const { undone } = edit;
          listener.onEdit(edit.revision, {
            deletedBefore: edit.deleted_before,
            deletedAfter: edit.deleted_after,
            inserted: edit.inserted,
            correction: edit.correction,
            undone: undone && { literal: undone.replaced, corrected: undone.text },
            finished: [],
          });
          listener.onShift(edit.shift);
        },
        onBar: (bar) => bar && listener.onBar(bar),
        onLearned: ({ words, num_words, learning }) => listener.onLearned({ words, numWords: num_words, learning }),
        onConnected: (isConnected, failure) => isConnected || listener.onState("lost", lost(failure)),
        onFailure: ({ message }) => listener.onState("failed", message),
      },
    );
  }

  get revision(): number {
    return this.keyboard.revision;
  }

  send(event: Event): number {
    return this.keyboard.send(told(event));
  }

  askLearned(): void {
    this.keyboard.learned({ limit: MOST_LEARNED });
  }

  forgetWord(word: string): void {
    this.keyboard.learned({ word });
  }

  forgetAll(): void {
    this.keyboard.learned("all");
  }

  close(): void {
    this.keyboard.close();
  }
}

function lost(failure: Failure | null | undefined): string {
  return failure?.message ?? "The connection was lost; what you type is sent when it is back.";
}

/** An event without what only a keyboard in this browser says of it. */
function told(event: Event): Told {
  switch (event.type) {
    case "typed":
      return { type: event.type, char: event.char, tap: event.tap ?? null };
    case "swiped":
      return { type: event.type, path: event.path };
    case "field_started":
      return { type: event.type, field: { text: event.text, is_private: event.is_private } };
    default:
      return event;
  }
}
