const MOST_CHARS = 2048;
const LONGEST_PAUSE_MS = 5e3;
const FINAL_CODES = /* @__PURE__ */ new Set([1007, 1008, 1009]);
class RemoteKeyboard {
  constructor(options, listener = {}) {
    this.options = options;
    this.listener = listener;
    this.chars = Array.from(options.text ?? "");
    this.at = this.chars.length;
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
  cutRevision = -1;
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
    return sent.revision;
  }
  type(char, tap = null) {
    return this.send({ type: "typed", char, tap });
  }
  accept({ text, replaced }) {
    return this.send({ type: "slot_accepted", word: text, replaced });
  }
  /** Ask what was learned, forget a word, or forget everything; answered by `onLearned`. */
  learned(forget) {
    const type = forget === void 0 ? "learned_asked" : forget === "all" ? "all_forgotten" : "word_forgotten";
    this.put({ type, ...typeof forget === "object" ? forget : {} });
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
    const { url: _, first_pause_ms: __, text: ___, is_private: ____, ...wishes } = this.options;
    const field = { ...this.around(), is_private: this.isPrivate };
    this.put({ type: "hello", ...wishes, field, revision: this.revision - this.unanswered.length });
  }
  around() {
    this.start = Math.max(0, this.at - MOST_CHARS / 2);
    const text = this.chars.slice(this.start, this.at + MOST_CHARS / 2).join("");
    return { text, cursor: this.at - this.start };
  }
  write({ revision, event }) {
    const known = event.type === "cursor_moved" ? { cursor: Math.max(0, event.cursor - this.start) } : {};
    this.put({ ...event, ...known, revision });
  }
  put(message) {
    this.socket?.send(JSON.stringify(message));
  }
  hear(message) {
    if (message.type === "welcome") {
      this.shift = message.shift;
      this.isWelcome = true;
      this.pauseMs = this.options.first_pause_ms ?? 200;
      this.listener.onConnected?.(true);
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
      if (edit.revision !== this.cutRevision) this.become(event.text, event.cursor);
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
    this.listener.onField?.(this);
  }
  become(text, cursor) {
    this.chars = Array.from(text);
    this.at = Math.min(cursor, this.chars.length);
    this.start = 0;
  }
  failed(failure) {
    if (failure.code === "field_full" && this.unanswered.length > 0) {
      const waiting = this.unanswered.map(({ event }) => event);
      const first = this.unanswered[0].revision;
      const cut = { type: "text_changed", ...this.around() };
      this.cutRevision = first;
      this.unanswered = [cut, ...waiting].map((event, place) => ({ revision: first + place, event }));
      this.revision = first + waiting.length;
      this.put({ ...cut, revision: first });
      for (const sent of this.unanswered.slice(1)) this.write(sent);
    } else {
      this.failure = failure;
      this.retryMs = failure.retry_ms ?? 0;
    }
  }
  lost(code) {
    this.isWelcome = false;
    this.listener.onConnected?.(false);
    if (this.isClosed) return;
    if (FINAL_CODES.has(code)) {
      this.isClosed = true;
      this.listener.onFailure?.(this.failure ?? { code: "closed", message: `the socket closed (${code})`, retry_ms: null });
      return;
    }
    setTimeout(() => this.isClosed || this.connect(), Math.max(this.pauseMs, this.retryMs));
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    this.retryMs = 0;
  }
}
export {
  RemoteKeyboard
};
