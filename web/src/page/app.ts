/** The page: puts field, bar, keys and panel together over whichever session is chosen. */
import { charsOf, type Edit, type Event, type Shift } from "../engine";
import { FieldView } from "./field_view";
import { KeyboardView } from "./keyboard_view";
import type { Layout } from "./keys";
import { LocalSession } from "./local_session";
import { Meters } from "./meters";
import { RemoteSession } from "./remote_session";
import type { Bar, Learning, LearnedWords, Listener, Session, Slot, State } from "./session";
import { addressOf, type LanguageRules, type WebManifest } from "./worker_messages";

const NUM_SLOTS = 3;
type Mode = "server" | "browser";

/** `/v1/offered`. */
interface Offered {
  readonly model: string;
  readonly learning: readonly Learning[];
  readonly wants_token: boolean;
}

const $ = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E;

class App implements Listener {
  private readonly fieldView: FieldView;
  private readonly keyboard: KeyboardView;
  private readonly meters = new Meters($("latency"), $("savings"));
  private session: Session | null = null;
  private bar: Bar | null = null;
  private textFrom = 0; // edits of older revisions were made for another text
  private isPrivate = false;

  constructor(
    private readonly layouts: Readonly<Record<string, Layout>>,
    private readonly offered: Offered | null,
    private readonly manifest: WebManifest | null,
  ) {
    this.fieldView = new FieldView($<HTMLTextAreaElement>("field"), $("mirror"), {
      onKey: (char) => this.press({ type: "typed", char }),
      onBackspace: () => this.backspace(),
      onTextChanged: (text, cursor) => this.textChanged(text, cursor),
      onCursorMoved: (cursor) => this.send({ type: "cursor_moved", cursor }),
      onGhost: (onlyWord) => this.acceptGhost(onlyWord),
      onSlot: (index) => this.acceptSlot(index),
    });
    this.keyboard = new KeyboardView($("keyboard"), layouts[this.layoutName()], {
      onChar: (char, tap) => {
        this.fieldView.deleteSelection();
        this.press({ type: "typed", char, tap });
      },
      onBackspace: () => this.backspace(),
      onShift: (lock) => this.send({ type: "shift_pressed", lock }),
      onPath: (path) => {
        if (!this.session?.readsPaths) return false;
        this.fieldView.deleteSelection();
        this.press({ type: "swiped", path });
        return true;
      },
    });
    this.wire();
    const wanted = stored("mode") ?? new URLSearchParams(location.search).get("mode") ?? "server";
    const canServe = offered !== null;
    void this.use(wanted === "browser" && manifest ? "browser" : canServe ? "server" : "browser");
    this.showBar();
  }

  private wire(): void {
    for (const mode of ["server", "browser"] as const) {
      const button = $<HTMLButtonElement>(`mode-${mode}`);
      button.onclick = () => void this.use(mode);
      button.disabled = mode === "server" ? !this.offered : !this.manifest;
    }
    const layout = $<HTMLSelectElement>("layout");
    layout.replaceChildren(...Object.keys(this.layouts).map((name) => new Option(name.toUpperCase(), name)));
    layout.value = this.layoutName();
    layout.onchange = () => {
      store("layout", layout.value);
      this.keyboard.setLayout(this.layouts[layout.value]);
      this.reopen();
    };
    $("send").onclick = () => this.sendMessage();
    $("theme").onclick = () => this.nextTheme();
    $("panel-button").onclick = () => this.showPanel(Boolean($("panel").hidden));
    $("private").onchange = (event) => this.setPrivate((event.target as HTMLInputElement).checked);
    const learning = $<HTMLSelectElement>("learning");
    for (const option of learning.options) option.disabled = !(this.offered?.learning ?? ["off"]).includes(option.value as Learning);
    learning.value = learning.querySelector<HTMLOptionElement>(`option[value="${stored("learning") ?? "off"}"]:not(:disabled)`)?.value ?? "off";
    learning.onchange = () => {
      store("learning", learning.value);
      this.reopen();
    };
    $("token-row").hidden = !this.offered?.wants_token;
    $("token").onchange = () => this.reopen();
    $("forget-all").onclick = () => this.session?.forgetAll();
  }

  private layoutName(): string {
    const name = stored("layout") ?? "";
    return name in this.layouts ? name : "qwerty";
  }

  private async use(mode: Mode): Promise<void> {
    this.session?.close();
    this.session = null;
    this.bar = null;
    this.showBar();
    if ((mode === "server" && !this.offered) || (mode === "browser" && !this.manifest)) {
      this.onState("failed", "Neither a service nor a model for this browser is here: run keyboard-lm serve or keyboard-lm export-web.");
      return;
    }
    store("mode", mode);
    document.documentElement.dataset.mode = mode;
    for (const each of ["server", "browser"] as const) $(`mode-${each}`).setAttribute("aria-pressed", String(each === mode));
    $("privacy").textContent =
      mode === "browser"
        ? "Nothing you type leaves this browser, and nothing is learned or stored."
        : "What you type goes to the service that gave you this page. It learns words only if you say so below, and never from a private field.";
    $("server-settings").hidden = mode !== "server";
    this.textFrom = 0;
    if (mode === "server") {
      const url = new URL("v1/session", document.baseURI);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      this.session = new RemoteSession(this, {
        url: url.href,
        layout: $<HTMLSelectElement>("layout").value,
        learning: $<HTMLSelectElement>("learning").value as Learning,
        token: $<HTMLInputElement>("token").value,
        numSlots: NUM_SLOTS,
      });
    } else {
      const rules = (await (await fetch(addressOf(this.manifest!, "model/language.json"))).json()) as LanguageRules;
      this.session = new LocalSession(this, rules, NUM_SLOTS);
    }
  }

  private reopen(): void {
    void this.use(document.documentElement.dataset.mode as Mode);
  }

  // What the session says

  field(): { text: string; cursor: number; isPrivate: boolean } {
    return { text: this.fieldView.text, cursor: this.fieldView.cursor, isPrivate: this.isPrivate };
  }

  onEdit(revision: number, edit: Edit): void {
    if (revision > this.textFrom) this.fieldView.apply(edit);
    if (edit.correction) this.announce(`${edit.correction.replaced} became ${edit.correction.text}`);
    if (edit.undone) this.announce(`${edit.undone.literal} is back`);
    this.fieldView.setGhost("");
    this.meters.textIs(charsOf(this.fieldView.text).length);
  }

  onShift(shift: Shift): void {
    this.keyboard.setShift(shift);
  }

  onBar(bar: Bar): void {
    if (bar.revision !== this.session?.revision && this.session) return;
    this.bar = bar;
    this.showBar();
    this.fieldView.setGhost(bar.ghost?.text ?? "");
    this.meters.shown(bar.revision);
  }

  onState(state: State, message: string): void {
    const status = $("status");
    status.textContent = message;
    document.documentElement.dataset.state = state;
    if (state !== "ready") return;
    if (!$("panel").hidden) this.session?.askLearned();
    if (document.documentElement.dataset.mode === "browser") void keepOffline();
  }

  onLearned({ words, numWords, learning }: LearnedWords): void {
    const list = $("learned");
    list.replaceChildren(
      ...words.map((word) => {
        const item = document.createElement("li");
        const forget = document.createElement("button");
        forget.type = "button";
        forget.textContent = "×";
        forget.setAttribute("aria-label", `Forget ${word}`);
        forget.onclick = () => this.session?.forgetWord(word);
        item.append(word, forget);
        return item;
      }),
    );
    $("learned-count").textContent = learning === "off" ? "Learning is off." : `${numWords} learned.`;
    $("forget-all").hidden = !numWords;
  }

  // What the writer does

  private press(event: Event): void {
    const instant = performance.now();
    const revision = this.send(event);
    if (revision === null) return;
    this.meters.pressed(revision, instant);
    this.meters.textIs(charsOf(this.fieldView.text).length);
  }

  private send(event: Event): number | null {
    if (!this.session) return null;
    $("bar").setAttribute("aria-busy", "true"); // until the bar of this event is there
    return this.session.send(event);
  }

  private backspace(): void {
    if (!this.fieldView.deleteSelection()) this.press({ type: "backspaced" });
  }

  private textChanged(text: string, cursor: number): void {
    this.textFrom = (this.session?.revision ?? 0) + 1;
    this.send({ type: "text_changed", text, cursor });
  }

  private acceptSlot(index: number): void {
    const slot = this.bar?.slots[index];
    if (!slot) return;
    // A bar that is older than the last key stands for what the word was then: it takes the place of what it is now.
    const isStale = this.bar!.revision !== this.session?.revision;
    this.press({ type: "slot_accepted", word: slot.text, replaced: isStale ? null : slot.replaced });
  }

  private acceptGhost(onlyWord: boolean): void {
    const ghost = this.bar?.revision === this.session?.revision ? this.bar?.ghost : null;
    if (ghost) this.press({ type: "ghost_accepted", ghost: ghost.text, only_word: onlyWord });
  }

  private sendMessage(): void {
    const { text } = this.fieldView;
    if (!text.trim()) return;
    const message = document.createElement("li");
    message.textContent = text;
    $("messages").append(message);
    message.scrollIntoView({ block: "end" });
    this.meters.sent(charsOf(text).length);
    this.fieldView.setText("");
    this.textChanged("", 0);
    this.fieldView.focus();
  }

  private setPrivate(isPrivate: boolean): void {
    this.isPrivate = isPrivate;
    this.fieldView.setText("");
    this.textFrom = (this.session?.revision ?? 0) + 1;
    this.send({ type: "field_started", text: "", is_private: isPrivate });
  }

  private showPanel(isShown: boolean): void {
    $("panel").hidden = !isShown;
    $("panel-button").setAttribute("aria-expanded", String(isShown));
    if (isShown) this.session?.askLearned();
  }

  private nextTheme(): void {
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (isDark ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    store("theme", next);
  }

  private announce(message: string): void {
    $("announcement").textContent = message;
  }

  private showBar(): void {
    const slots = this.bar?.slots ?? [];
    const buttons = Array.from({ length: NUM_SLOTS }, (_, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "slot";
      const slot = slots[index];
      if (slot) {
        button.textContent = slot.kind === "literal" ? `“${slot.text}”` : slot.text;
        button.classList.add(slot.kind);
        button.setAttribute("aria-label", labelOf(slot, this.bar!));
        button.classList.toggle("chosen", isChosen(slot, this.bar!));
      } else button.disabled = true;
      button.setAttribute("aria-keyshortcuts", `Alt+${index + 1}`);
      button.onpointerdown = (event) => event.preventDefault();
      button.onclick = () => this.acceptSlot(index);
      return button;
    });
    $("bar").replaceChildren(...buttons);
    $("bar").setAttribute("aria-busy", "false");
  }
}

/** Whether a space typed now would put the slot in. */
function isChosen(slot: Slot, bar: Bar): boolean {
  return bar.correction !== null && slot.kind !== "literal" && slot.text === bar.correction.text;
}

function labelOf(slot: Slot, bar: Bar): string {
  if (slot.kind === "literal") return `Keep ${slot.text} as typed`;
  return isChosen(slot, bar) ? `${slot.text}, put in by a space` : slot.text;
}

function stored(name: string): string | null {
  try {
    return localStorage.getItem(`keyboard-lm.${name}`);
  } catch {
    return null; // storage is not allowed here
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(`keyboard-lm.${name}`, value);
  } catch {
    // Storage is not allowed here: the choice lasts as long as the page.
  }
}

/** Lets the page work without a network from the next visit on. */
async function keepOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) return; // pages over plain HTTP from elsewhere have none
  try {
    await navigator.serviceWorker.register("sw.js");
    await navigator.serviceWorker.ready;
    document.documentElement.dataset.offline = "kept";
  } catch {
    document.documentElement.dataset.offline = "refused";
  }
}

async function load<T>(name: string): Promise<T | null> {
  try {
    const response = await fetch(name);
    return response.ok ? ((await response.json()) as T) : null;
  } catch {
    return null;
  }
}

async function start(): Promise<void> {
  const theme = stored("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const [layouts, offered, manifest] = await Promise.all([
    load<Record<string, Layout>>("layouts.json"),
    load<Offered>("v1/offered"),
    load<WebManifest>("web.json"),
  ]);
  if (!layouts) {
    $("status").textContent = "The page is not whole: layouts.json is missing.";
    return;
  }
  new App(layouts, offered, manifest);
  $("field").focus();
}

void start();
