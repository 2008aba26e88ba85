/** The keyboard as the service has it, over a socket (`docs/serving.md`); it reconnects and goes on with its field. */
import type { Correction, Edit, Event, Shift } from "../keyboard/events";
import type { Bar, Learning, Listener, Session } from "./session";

const MOST_CHARS = 2048; // of a field in one message
const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 8000;
const AGAIN: ReadonlySet<number> = new Set([1001, 1005, 1006, 1011, 1012, 1013, 4408]); // closed in a way that may pass

export interface RemoteOptions {
  readonly url: string;
  readonly layout: string;
  readonly learning: Learning;
  readonly token: string;
  readonly numSlots: number;
}

interface EditMessage {
  readonly revision: number;
  readonly deleted_before: string;
  readonly deleted_after: string;
  readonly inserted: string;
  readonly correction: Correction | null;
  readonly undone: Correction | null;
  readonly shift: Shift;
}

export class RemoteSession implements Session {
  revision = 0;
  readonly readsPaths = true;
  private answered = 0; // the newest revision whose edit was made
  private unanswered: { readonly revision: number; readonly event: Event }[] = [];
  private socket: WebSocket | null = null;
  private isOpen = false;
  private isClosed = false;
  private waitMs = FIRST_WAIT_MS;
  private retryMs: number | null = null;
  private failure = "";
  private cut = 0; // code points of the field before what the service knows of it

  constructor(private readonly listener: Listener, private readonly options: RemoteOptions) {
    this.connect();
  }

  send(event: Event): number {
    this.revision++;
    const sent = { revision: this.revision, event };
    this.unanswered.push(sent);
    if (this.isOpen) this.sendEvent(sent);
    else if (!this.socket && !this.isClosed) this.connect();
    return this.revision;
  }

  askLearned(): void {
    this.write({ type: "learned_asked", limit: 100 });
  }

  forgetWord(word: string): void {
    this.write({ type: "word_forgotten", word });
  }

  forgetAll(): void {
    this.write({ type: "all_forgotten" });
  }

  close(): void {
    this.isClosed = true;
    this.socket?.close(1000);
  }

  private connect(): void {
    this.listener.onState("opening", "Connecting …");
    this.failure = "";
    this.retryMs = null;
    const socket = (this.socket = new WebSocket(this.options.url));
    socket.onopen = () => this.hello();
    socket.onmessage = ({ data }) => this.hear(JSON.parse(String(data)) as { type: string } & Record<string, never>);
    socket.onclose = ({ code }) => this.lost(code);
  }

  private hello(): void {
    const { text, cursor, isPrivate } = this.listener.field();
    const chars = Array.from(text);
    this.cut = Math.max(0, Math.min(cursor - MOST_CHARS / 2, chars.length - MOST_CHARS));
    const { token, layout, learning, numSlots } = this.options;
    const field = {
      text: chars.slice(this.cut, this.cut + MOST_CHARS).join(""), cursor: cursor - this.cut, is_private: isPrivate,
    };
    this.write({ type: "hello", token, layout, learning, num_slots: numSlots, field, revision: this.answered });
  }

  private sendEvent({ revision, event }: { revision: number; event: Event }): void {
    switch (event.type) {
      case "typed":
        this.write({ type: "typed", revision, char: event.char, tap: event.tap ?? null });
        break;
      case "swiped":
        this.write({ type: "swiped", revision, path: event.path });
        break;
      case "field_started":
        this.cut = 0;
        this.write({ type: "field_started", revision, field: { text: event.text.slice(-MOST_CHARS), is_private: event.is_private } });
        break;
      case "cursor_moved":
        if (event.cursor < this.cut) this.sendText(revision, this.listener.field().text, event.cursor);
        else this.write({ ...event, revision, cursor: event.cursor - this.cut });
        break;
      case "text_changed":
        this.sendText(revision, event.text, event.cursor);
        break;
      default:
        this.write({ ...event, revision });
    }
  }

  private sendText(revision: number, text: string, cursor: number): void {
    const chars = Array.from(text);
    this.cut = Math.max(0, Math.min(cursor - MOST_CHARS / 2, chars.length - MOST_CHARS));
    const part = chars.slice(this.cut, this.cut + MOST_CHARS).join("");
    this.write({ type: "text_changed", revision, text: part, cursor: cursor - this.cut });
  }

  private hear(message: { type: string } & Record<string, never>): void {
    switch (message.type) {
      case "welcome": {
        this.isOpen = true;
        this.waitMs = FIRST_WAIT_MS;
        const welcome = message as unknown as { model: string; learning: Learning; shift: Shift };
        this.listener.onState("ready", `The service answers (model ${welcome.model.slice(0, 8)}, learning ${welcome.learning}).`);
        this.listener.onShift(welcome.shift);
        for (const each of this.unanswered) this.sendEvent(each);
        break;
      }
      case "edit":
        this.edited(message as unknown as EditMessage);
        break;
      case "bar": {
        const bar = message as unknown as Bar;
        if (bar.revision === this.revision) this.listener.onBar(bar);
        break;
      }
      case "learned": {
        const { words, num_words, learning } = message as unknown as { words: string[]; num_words: number; learning: Learning };
        this.listener.onLearned({ words, numWords: num_words, learning });
        break;
      }
      case "error": {
        const error = message as unknown as { code: string; message: string; retry_ms: number | null };
        if (error.code === "field_full") this.fieldFull();
        else {
          this.failure = error.message;
          this.retryMs = error.retry_ms;
        }
        break;
      }
    }
  }

  private edited(message: EditMessage): void {
    this.answered = message.revision;
    this.unanswered = this.unanswered.filter(({ revision }) => revision > message.revision);
    const { undone } = message;
    const edit: Edit = {
      deletedBefore: message.deleted_before,
      deletedAfter: message.deleted_after,
      inserted: message.inserted,
      correction: message.correction,
      undone: undone && { literal: undone.replaced, corrected: undone.text },
      finished: [],
    };
    this.listener.onEdit(message.revision, edit);
    this.listener.onShift(message.shift);
  }

  private fieldFull(): void {
    // The first event without an answer was not made: the end of the text goes on in its place, then the event again.
    const { text, cursor } = this.listener.field();
    const again = this.unanswered.map(({ event }) => event);
    this.unanswered = [];
    this.revision = this.answered;
    this.send({ type: "text_changed", text, cursor });
    for (const event of again) this.send(event);
  }

  private lost(code: number): void {
    this.socket = null;
    this.isOpen = false;
    if (this.isClosed) return;
    if (!AGAIN.has(code)) {
      this.isClosed = true;
      this.listener.onState("failed", this.failure || `The service closed the connection (${code}).`);
      return;
    }
    this.listener.onState("lost", this.failure || "The connection was lost; what you type is sent when it is back.");
    if (code === 4408) return; // when somebody types again
    setTimeout(() => this.isClosed || this.socket || this.connect(), this.retryMs ?? this.waitMs);
    this.waitMs = Math.min(2 * this.waitMs, MOST_WAIT_MS);
  }

  private write(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
