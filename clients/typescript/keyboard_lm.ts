/**
 * A keyboard that `keyboard-lm serve` runs: owns the field, and goes on by itself after a lost connection.
 * One file without dependencies; docs/serving.md is the protocol. Offsets are in code points.
 */

export type Shift = "off" | "on" | "lock";
export type Learning = "off" | "memory" | "file";

export interface Correction {
  readonly replaced: string;
  readonly text: string;
}

export interface Slot {
  readonly text: string;
  readonly kind: "literal" | "correction" | "completion" | "next_word" | "emoji" | "swiped";
  readonly probability: number;
  readonly replaced: string;
}

export interface Welcome {
  readonly protocol: number;
  readonly version: string;
  readonly model: string;
  readonly revision: number;
  readonly shift: Shift;
  readonly learning: Learning;
  readonly language: string;
  readonly layout: string;
}

export interface Bar {
  readonly revision: number;
  readonly slots: readonly Slot[];
  readonly correction: Correction | null;
  readonly ghost: { readonly text: string; readonly probability: number } | null;
  readonly stage: "full" | "fewer_branches" | "no_branches" | "cached" | "personal_and_lexicon";
  readonly num_model_calls: number;
  readonly device_ms: number;
  readonly host_ms: number;
}

export interface Edit {
  readonly revision: number;
  readonly deleted_before: string;
  readonly deleted_after: string;
  readonly inserted: string;
  readonly correction: Correction | null;
  readonly undone: Correction | null;
  readonly shift: Shift;
}

export interface Learned {
  readonly words: readonly string[];
  readonly num_words: number;
  readonly learning: Learning;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retry_ms: number | null;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** What happened, without its revision: the client counts. */
export type Event =
  | { readonly type: "typed"; readonly char: string; readonly tap?: Point | null }
  | { readonly type: "swiped"; readonly path: readonly (Point & { readonly t_ms: number })[] }
  | { readonly type: "backspaced" }
  | { readonly type: "shift_pressed"; readonly lock?: boolean }
  | { readonly type: "slot_accepted"; readonly word: string; readonly replaced?: string | null }
  | { readonly type: "ghost_accepted"; readonly ghost: string; readonly only_word?: boolean }
  | { readonly type: "cursor_moved"; readonly cursor: number }
  | { readonly type: "text_changed"; readonly text: string; readonly cursor: number }
  | { readonly type: "field_started"; readonly field: { readonly text?: string; readonly is_private?: boolean } };

export interface Listener {
  /** The service is there; events that were kept meanwhile are sent. */
  onWelcome?(welcome: Welcome): void;
  /** What to do to a field that somebody else shows; the client's own has it already. */
  onEdit?(edit: Edit): void;
  /** The field has changed: show `text` and `cursor`. */
  onField?(keyboard: RemoteKeyboard): void;
  /** The newest bar; null where the service is too busy for one. */
  onBar?(bar: Bar | null): void;
  onLearned?(learned: Learned): void;
  /** Whether there is a connection, and what the service said before it was lost; in between events are kept. */
  onConnected?(isConnected: boolean, failure?: Failure | null): void;
  /** The service refuses, and it would be no use to ask again. */
  onFailure?(failure: Failure): void;
}

export interface Options {
  readonly url: string;
  readonly token?: string;
  readonly language?: string;
  readonly layout?: string;
  readonly learning?: Learning;
  readonly num_slots?: number;
  readonly text?: string;
  /** Where in the text; its end if not given. */
  readonly cursor?: number;
  readonly is_private?: boolean;
  readonly first_pause_ms?: number;
}

const MOST_CHARS = 2048; // of a field in one message
const LONGEST_PAUSE_MS = 5000;
const FINAL_CODES: ReadonlySet<number> = new Set([1007, 1008, 1009]); // the same again would end the same
const IDLE_CODE = 4408; // nobody types: to be opened again by the next event
const OPEN = 1; // of `WebSocket.readyState`

export class RemoteKeyboard {
  shift: Shift = "off";
  revision = 0;
  private chars: string[];
  private at: number;
  private start = 0; // of the part of the field that the service knows
  private isPrivate: boolean;
  private unanswered: { revision: number; event: Event }[] = [];
  private socket: WebSocket | null = null;
  private isWelcome = false;
  private isClosed = false;
  private pauseMs: number;
  private retryMs = 0;
  private failure: Failure | null = null;

  constructor(private readonly options: Options, private readonly listener: Listener = {}) {
    this.chars = Array.from(options.text ?? "");
    this.at = Math.min(options.cursor ?? Infinity, this.chars.length);
    this.isPrivate = options.is_private ?? false;
    this.pauseMs = options.first_pause_ms ?? 200;
    this.connect();
  }

  get text(): string {
    return this.chars.join("");
  }

  get cursor(): number {
    return this.at;
  }

  /** Tell of an event; its edit comes as `onField`, its bar as `onBar`. */
  send(event: Event): number {
    const sent = { revision: ++this.revision, event };
    this.unanswered.push(sent);
    if (this.isWelcome) this.write(sent);
    else if (this.socket === null && !this.isClosed) this.connect();
    return sent.revision;
  }

  type(char: string, tap: Point | null = null): number {
    return this.send({ type: "typed", char, tap });
  }

  accept({ text, replaced }: Slot): number {
    return this.send({ type: "slot_accepted", word: text, replaced });
  }

  /** Ask what was learned, so many words at most, forget a word, or forget everything; answered by `onLearned`. */
  learned(forget?: { word: string } | { limit: number } | "all"): void {
    if (forget === "all") this.put({ type: "all_forgotten" });
    else this.put({ type: forget !== undefined && "word" in forget ? "word_forgotten" : "learned_asked", ...forget });
  }

  close(): void {
    this.isClosed = true;
    this.socket?.close(1000);
  }

  private connect(): void {
    const socket = (this.socket = new WebSocket(this.options.url));
    socket.onopen = () => this.hello();
    socket.onmessage = ({ data }) => this.hear(JSON.parse(String(data)) as { type: string });
    socket.onclose = ({ code }) => this.lost(code);
    socket.onerror = () => undefined; // `onclose` follows
  }

  private hello(): void {
    const { url: _, first_pause_ms: __, text: ___, cursor: ____, is_private: _____, ...wishes } = this.options;
    const field = { ...this.around(this.chars, this.at), is_private: this.isPrivate };
    this.put({ type: "hello", ...wishes, field, revision: this.revision - this.unanswered.length });
  }

  /** The part of a text that the service is told, which it knows from then on. */
  private around(chars: string[], cursor: number): { text: string; cursor: number } {
    const at = Math.min(cursor, chars.length);
    this.start = Math.max(0, Math.min(at - MOST_CHARS / 2, chars.length - MOST_CHARS));
    return { text: chars.slice(this.start, this.start + MOST_CHARS).join(""), cursor: at - this.start };
  }

  private write({ revision, event }: { revision: number; event: Event }): void {
    let message: object = event;
    if (event.type === "text_changed") {
      message = { type: event.type, ...this.around(Array.from(event.text), event.cursor) };
    } else if (event.type === "field_started") {
      const { text } = this.around(Array.from(event.field.text ?? ""), Infinity);
      message = { type: event.type, field: { ...event.field, text } };
    } else if (event.type === "cursor_moved" && event.cursor < this.start && this.unanswered[0]?.event === event) {
      message = { type: "text_changed", ...this.around(this.chars, event.cursor) }; // before what the service knows
    } else if (event.type === "cursor_moved") {
      message = { type: event.type, cursor: Math.max(0, event.cursor - this.start) };
    }
    this.put({ ...message, revision });
  }

  private put(message: object): void {
    if (this.socket?.readyState === OPEN) this.socket.send(JSON.stringify(message));
  }

  private hear(message: { type: string }): void {
    if (message.type === "welcome") {
      const welcome = message as unknown as Welcome;
      this.shift = welcome.shift;
      this.isWelcome = true;
      this.failure = null;
      this.pauseMs = this.options.first_pause_ms ?? 200;
      this.listener.onConnected?.(true);
      this.listener.onWelcome?.(welcome);
      for (const sent of this.unanswered) this.write(sent);
    } else if (message.type === "edit") {
      this.edit(message as unknown as Edit);
    } else if (message.type === "bar" || message.type === "busy") {
      const bar = message as unknown as Bar;
      if (bar.revision === this.revision) this.listener.onBar?.(message.type === "bar" ? bar : null);
    } else if (message.type === "learned") {
      this.listener.onLearned?.(message as unknown as Learned);
    } else if (message.type === "error") {
      this.failed(message as unknown as Failure);
    }
  }

  private edit(edit: Edit): void {
    const sent = this.unanswered.shift();
    if (sent === undefined) return;
    const { event } = sent;
    if (event.type === "cursor_moved") {
      this.at = Math.min(event.cursor, this.chars.length);
    } else if (event.type === "text_changed") {
      this.become(event.text, event.cursor);
    } else if (event.type === "field_started") {
      this.isPrivate = event.field.is_private ?? false;
      this.become(event.field.text ?? "", Infinity);
    } else {
      const before = Array.from(edit.deleted_before).length;
      const after = Array.from(edit.deleted_after).length;
      const inserted = Array.from(edit.inserted);
      this.chars.splice(this.at - before, before + after, ...inserted);
      this.at += inserted.length - before;
    }
    this.shift = edit.shift;
    this.listener.onEdit?.(edit);
    this.listener.onField?.(this);
  }

  private become(text: string, cursor: number): void {
    this.chars = Array.from(text);
    this.at = Math.min(cursor, this.chars.length);
  }

  private failed(failure: Failure): void {
    if (failure.code === "field_full" && this.unanswered.length > 0) {
      // The end of the field is enough to go on with; what was not answered comes again behind it.
      const waiting = this.unanswered.map(({ event }) => event);
      const first = this.unanswered[0].revision;
      const cut = { type: "text_changed" as const, text: this.text, cursor: this.at };
      this.unanswered = [cut, ...waiting].map((event, place) => ({ revision: first + place, event }));
      this.revision = first + waiting.length;
      for (const sent of this.unanswered) this.write(sent);
    } else {
      this.failure = failure;
      this.retryMs = failure.retry_ms ?? 0;
    }
  }

  private lost(code: number): void {
    this.isWelcome = false;
    this.socket = null;
    if (this.isClosed) return;
    this.listener.onConnected?.(false, this.failure);
    if (FINAL_CODES.has(code)) {
      this.isClosed = true;
      this.listener.onFailure?.(this.failure ?? { code: "closed", message: `the socket closed (${code})`, retry_ms: null });
      return;
    }
    if (code === IDLE_CODE && this.unanswered.length === 0) return;
    setTimeout(() => this.isClosed || this.socket !== null || this.connect(), Math.max(this.pauseMs, this.retryMs));
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    this.retryMs = 0;
  }
}
