/** The keyboard in the browser itself: the editor here, words in a worker, nothing sent. */
import { DEFAULT_OPTIONS, Editor, type Edit, type Event } from "../engine";
import type { Bar, Listener, Session } from "./session";
import type { FromWorker, LanguageRules, ToWorker } from "./worker_messages";

export class LocalSession implements Session {
  revision = 0;
  readonly readsPaths = false;
  private readonly editor: Editor;
  private readonly worker: Worker;

  constructor(private readonly listener: Listener, rules: LanguageRules, numSlots: number) {
    this.editor = new Editor({
      ...DEFAULT_OPTIONS,
      capitalWords: new Set(rules.capital_words),
      fullStop: rules.full_stop,
      sentenceCapitals: rules.sentence_capitals,
    });
    this.worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.hear(data);
    this.worker.onerror = (event) => listener.onState("failed", `The model cannot be opened: ${event.message}`);
    listener.onState("opening", "Loading the model into this browser …");
    this.tell({ type: "open", numSlots });
    const { text, cursor, isPrivate } = listener.field();
    this.editor.apply({ type: "field_started", text, is_private: isPrivate });
    this.editor.apply({ type: "cursor_moved", cursor });
    listener.onShift(this.editor.shift);
    this.ask();
  }

  send(event: Event): number {
    const edit = this.editor.apply(event);
    if (edit.undone) this.undone(edit);
    this.revision++;
    this.listener.onEdit(this.revision, edit);
    this.listener.onShift(this.editor.shift);
    this.ask();
    return this.revision;
  }

  askLearned(): void {
    this.listener.onLearned({ words: [], numWords: 0, learning: "off" });
  }

  forgetWord(): void {
    this.askLearned();
  }

  forgetAll(): void {
    this.askLearned();
  }

  close(): void {
    this.worker.terminate();
  }

  private undone(edit: Edit): void {
    // A capital that was taken back is not put in again.
    const capitalWords = new Set(this.editor.options.capitalWords);
    capitalWords.delete(edit.undone!.literal);
    this.editor.options = { ...this.editor.options, capitalWords };
  }

  private ask(): void {
    this.tell({ type: "suggest", revision: this.revision, before: this.editor.before, shift: this.editor.shift });
  }

  private tell(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private hear(message: FromWorker): void {
    if (message.type === "bar") {
      if (message.bar.revision === this.revision) this.listener.onBar(message.bar as Bar);
    } else if (message.type === "timed") {
      document.documentElement.dataset.timed = JSON.stringify([message.wasmMs, message.gpuMs]);
    } else this.listener.onState(message.type === "ready" ? "ready" : "failed", message.message);
  }
}
