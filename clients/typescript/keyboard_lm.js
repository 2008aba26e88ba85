const MOST_CHARS = 2048;
const LONGEST_PAUSE_MS = 5e3;
const FINAL_CODES = /* @__PURE__ */ new Set([1007, 1008, 1009]);
const IDLE_CODE = 4408;
const OPEN = 1;
class RemoteKeyboard {
  constructor(options, listener = {}) {
    this.options = options;
    this.listener = listener;
    this.chars = Array.from(options.text ?? "");
    this.at = Math.min(options.cursor ?? Infinity, this.chars.length);
    this.isPrivate = options.is_private ?? false;
    this.pauseMs = options.first_pause_ms ?? 200;
    this.connect();
  }
  options;
  listener;
  shift = "off";
  revision = 0;
  chars;
  at;
  start = 0;
  // of the part of the field that the service knows
  isPrivate;
  unanswered = [];
  socket = null;
  isWelcome = false;
  isClosed = false;
  pauseMs;
  retryMs = 0;
  failure = null;
  get text() {
    return this.chars.join("");
  }
  get cursor() {
    return this.at;
  }
  /** Tell of an event; its edit comes as `onField`, its bar as `onBar`. */
  send(event) {
    const sent = { revision: ++this.revision, event };
    this.unanswered.push(sent);
    if (this.isWelcome) this.write(sent);
    else if (this.socket === null && !this.isClosed) this.connect();
    return sent.revision;
  }
  type(char, tap = null) {
    return this.send({ type: "typed", char, tap });
  }
  accept({ text, replaced }) {
    return this.send({ type: "slot_accepted", word: text, replaced });
  }
  /** Ask what was learned, so many words at most, forget a word, or forget everything; answered by `onLearned`. */
  learned(forget) {
    if (forget === "all") this.put({ type: "all_forgotten" });
    else this.put({ type: forget !== void 0 && "word" in forget ? "word_forgotten" : "learned_asked", ...forget });
  }
  close() {
    this.isClosed = true;
    this.socket?.close(1e3);
  }
  connect() {
    const socket = this.socket = new WebSocket(this.options.url);
    socket.onopen = () => this.hello();
    socket.onmessage = ({ data }) => this.hear(JSON.parse(String(data)));
    socket.onclose = ({ code }) => this.lost(code);
    socket.onerror = () => void 0;
  }
  hello() {
    const { url: _, first_pause_ms: __, text: ___, cursor: ____, is_private: _____, ...wishes } = this.options;
    const field = { ...this.around(this.chars, this.at), is_private: this.isPrivate };
    this.put({ type: "hello", ...wishes, field, revision: this.revision - this.unanswered.length });
  }
  /** The part of a text that the service is told, which it knows from then on. */
  around(chars, cursor) {
    const at = Math.min(cursor, chars.length);
    this.start = Math.max(0, Math.min(at - MOST_CHARS / 2, chars.length - MOST_CHARS));
    return { text: chars.slice(this.start, this.start + MOST_CHARS).join(""), cursor: at - this.start };
  }
  write({ revision, event }) {
    let message = event;
    if (event.type === "text_changed") {
      message = { type: event.type, ...this.around(Array.from(event.text), event.cursor) };
    } else if (event.type === "field_started") {
      const { text } = this.around(Array.from(event.field.text ?? ""), Infinity);
      message = { type: event.type, field: { ...event.field, text } };
    } else if (event.type === "cursor_moved" && event.cursor < this.start && this.unanswered[0]?.event === event) {
      message = { type: "text_changed", ...this.around(this.chars, event.cursor) };
    } else if (event.type === "cursor_moved") {
      message = { type: event.type, cursor: Math.max(0, event.cursor - this.start) };
    }
    this.put({ ...message, revision });
  }
  put(message) {
    if (this.socket?.readyState === OPEN) this.socket.send(JSON.stringify(message));
  }
  hear(message) {
    if (message.type === "welcome") {
      const welcome = message;
      this.shift = welcome.shift;
      this.isWelcome = true;
      this.failure = null;
      this.pauseMs = this.options.first_pause_ms ?? 200;
      this.listener.onConnected?.(true);
      this.listener.onWelcome?.(welcome);
      for (const sent of this.unanswered) this.write(sent);
    } else if (message.type === "edit") {
      this.edit(message);
    } else if (message.type === "bar" || message.type === "busy") {
      const bar = message;
      if (bar.revision === this.revision) this.listener.onBar?.(message.type === "bar" ? bar : null);
    } else if (message.type === "learned") {
      this.listener.onLearned?.(message);
    } else if (message.type === "error") {
      this.failed(message);
    }
  }
  edit(edit) {
    const sent = this.unanswered.shift();
    if (sent === void 0) return;
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
  become(text, cursor) {
    this.chars = Array.from(text);
    this.at = Math.min(cursor, this.chars.length);
  }
  failed(failure) {
    if (failure.code === "field_full" && this.unanswered.length > 0) {
      const waiting = this.unanswered.map(({ event }) => event);
      const first = this.unanswered[0].revision;
      const cut = { type: "text_changed", text: this.text, cursor: this.at };
      this.unanswered = [cut, ...waiting].map((event, place) => ({ revision: first + place, event }));
      this.revision = first + waiting.length;
      for (const sent of this.unanswered) this.write(sent);
    } else {
      this.failure = failure;
      this.retryMs = failure.retry_ms ?? 0;
    }
  }
  lost(code) {
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
export {
  RemoteKeyboard
};
