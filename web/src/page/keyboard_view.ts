/** The keys on the screen: touch, mouse, long press and, for those who step through them, the arrow keys. */
import type { PathPoint, Shift, Tap } from "../keyboard/events";
import { thinned, Trail } from "./trail";
import { alternativesOf, keyAt, pagesOf, type Key, type Layout, type Page, type PageName } from "./keys";

const LONG_PRESS_MS = 450;
const DOUBLE_TAP_MS = 300;
const REPEAT_AFTER_MS = 450;
const REPEAT_MS = 75;
const LEAST_SWIPE = 1; // key widths from where the finger came down

export interface KeyListener {
  onChar(char: string, tap: Tap | null): void;
  onBackspace(): void;
  onShift(lock: boolean): void;
  /** A finger slid over the keys; false where nobody reads words from that. */
  onPath(path: readonly PathPoint[]): boolean;
}

interface Press {
  readonly pointer: number;
  readonly key: Key;
  readonly tap: Tap;
  timer: number;
  chosen: HTMLElement | null;
  popup: HTMLElement | null;
  readonly begun: number;
  path: PathPoint[];
  isSwipe: boolean;
}

export class KeyboardView {
  private pages: Readonly<Record<PageName, Page>>;
  private page: Page;
  private shift: Shift = "off";
  private buttons = new Map<Key, HTMLButtonElement>();
  private press: Press | null = null;
  private shiftAt = -Infinity;
  private readonly trail = new Trail();

  constructor(private readonly root: HTMLElement, layout: Layout, private readonly listener: KeyListener) {
    this.pages = pagesOf(layout);
    this.page = this.pages.letters;
    root.addEventListener("pointerdown", (event) => this.down(event));
    root.addEventListener("pointermove", (event) => this.move(event));
    root.addEventListener("pointerup", (event) => this.up(event));
    root.addEventListener("pointercancel", () => this.drop());
    root.addEventListener("contextmenu", (event) => event.preventDefault());
    root.addEventListener("keydown", (event) => this.step(event));
    root.addEventListener("click", (event) => this.click(event));
    this.draw();
  }

  setLayout(layout: Layout): void {
    this.pages = pagesOf(layout);
    this.page = this.pages.letters;
    this.draw();
  }

  setShift(shift: Shift): void {
    if (shift === this.shift) return;
    this.shift = shift;
    for (const [key, button] of this.buttons) this.label(key, button);
  }

  private draw(): void {
    const { width, numRows, keys } = this.page;
    this.buttons = new Map();
    const elements = keys.map((key) => {
      const button = document.createElement("button");
      button.type = "button";
      button.tabIndex = -1;
      button.className = `key ${key.action ?? (key.char === " " ? "space" : "char")}`;
      button.style.left = `${(100 * key.left) / width}%`;
      button.style.width = `${(100 * key.width) / width}%`;
      button.style.top = `${(100 * key.row) / numRows}%`;
      button.style.height = `${100 / numRows}%`;
      button.dataset.key = key.action ?? key.char;
      button.append(document.createElement("span"));
      this.buttons.set(key, button);
      this.label(key, button);
      return button;
    });
    elements[0].tabIndex = 0;
    this.root.replaceChildren(...elements, this.trail.element);
  }

  private label(key: Key, button: HTMLButtonElement): void {
    const isUpper = this.shift !== "off" && key.char.toUpperCase() !== key.char;
    const face = key.action === "shift" && this.shift === "lock" ? "⇪" : isUpper ? key.char.toUpperCase() : key.label;
    button.firstElementChild!.textContent = face;
    button.setAttribute("aria-label", isUpper ? `Capital ${key.char}` : key.name);
    if (key.action !== "shift") return;
    button.setAttribute("aria-pressed", String(this.shift !== "off"));
    if (this.shift === "lock") button.setAttribute("aria-label", "Caps lock");
  }

  private tapOf(event: MouseEvent): Tap {
    const box = this.root.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.page.width,
      y: ((event.clientY - box.top) / box.height) * this.page.numRows,
    };
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.preventDefault(); // the field keeps the focus
    if (this.press) this.release(); // the next finger is down before this one is up
    const tap = this.tapOf(event);
    const key = keyAt(this.page, tap);
    const press: Press = {
      pointer: event.pointerId, key, tap, timer: 0, chosen: null, popup: null,
      begun: event.timeStamp, path: [{ ...tap, t_ms: 0 }], isSwipe: false,
    };
    this.press = press;
    this.buttons.get(key)!.classList.add("down");
    if (key.action === "backspace") {
      this.listener.onBackspace();
      press.timer = window.setTimeout(() => (press.timer = window.setInterval(() => this.listener.onBackspace(), REPEAT_MS)), REPEAT_AFTER_MS);
    } else if (alternativesOf(key.char).length) press.timer = window.setTimeout(() => this.open(press), LONG_PRESS_MS);
  }

  private move(event: PointerEvent): void {
    const press = this.press;
    if (!press || event.pointerId !== press.pointer) return;
    if (!press.popup) {
      this.follow(press, event);
      return;
    }
    const options = [...press.popup.children] as HTMLElement[];
    const centre = (each: HTMLElement): number => {
      const box = each.getBoundingClientRect();
      return Math.abs((box.left + box.right) / 2 - event.clientX);
    };
    this.choose(press, options.reduce((best, each) => (centre(each) < centre(best) ? each : best)));
  }

  /** A finger that leaves its key draws a word. */
  private follow(press: Press, event: PointerEvent): void {
    if (press.key.action || press.key.char === " " || this.page.name !== "letters") return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const each of moves.length ? moves : [event]) press.path.push({ ...this.tapOf(each), t_ms: each.timeStamp - press.begun });
    const { x, y } = press.path[press.path.length - 1];
    if (!press.isSwipe && Math.hypot(x - press.tap.x, y - press.tap.y) >= LEAST_SWIPE) {
      press.isSwipe = true;
      clearTimeout(press.timer);
      this.buttons.get(press.key)!.classList.remove("down");
    }
    if (press.isSwipe) this.trail.draw(press.path, this.page);
  }

  private up(event: PointerEvent): void {
    if (this.press && event.pointerId === this.press.pointer) this.release();
  }

  private release(): void {
    const press = this.press!;
    const { key, tap, chosen, isSwipe, path } = press;
    this.drop();
    if (isSwipe && this.listener.onPath(thinned(path))) return;
    if (key.action === "backspace") return;
    if (chosen) this.type(chosen.textContent!, null);
    else this.act(key, this.page.name === "letters" ? tap : null);
  }

  private drop(): void {
    const press = this.press;
    if (!press) return;
    this.press = null;
    clearTimeout(press.timer);
    clearInterval(press.timer);
    press.popup?.remove();
    this.trail.clear();
    this.buttons.get(press.key)?.classList.remove("down");
  }

  private act(key: Key, tap: Tap | null): void {
    switch (key.action) {
      case null:
        this.type(key.char, tap);
        break;
      case "return":
        this.type("\n", null);
        break;
      case "backspace":
        this.listener.onBackspace();
        break;
      case "shift": {
        const isDouble = performance.now() - this.shiftAt < DOUBLE_TAP_MS;
        this.shiftAt = isDouble ? -Infinity : performance.now();
        this.listener.onShift(isDouble || this.shift === "lock");
        break;
      }
      default:
        this.page = this.pages[key.action];
        this.draw();
    }
  }

  private type(char: string, tap: Tap | null): void {
    this.shiftAt = -Infinity; // shift, a letter, shift is no double tap
    this.listener.onChar(char, tap);
    // As on a phone, a space or an apostrophe leads back to the letters.
    if (this.page.name !== "letters" && " '\n".includes(char)) {
      this.page = this.pages.letters;
      this.draw();
    }
  }

  private open(press: Press): void {
    const popup = document.createElement("div");
    popup.className = "popup";
    popup.setAttribute("role", "listbox");
    popup.setAttribute("aria-label", `Other signs of ${press.key.name}`);
    for (const each of alternativesOf(press.key.char)) {
      const option = document.createElement("span");
      option.setAttribute("role", "option");
      option.textContent = this.shift === "off" || Array.from(each.toUpperCase()).length > 1 ? each : each.toUpperCase();
      popup.append(option);
    }
    const { left, width, row } = press.key;
    this.root.append(popup);
    const box = this.root.getBoundingClientRect();
    const middle = ((left + width / 2) / this.page.width) * box.width;
    popup.style.left = `${Math.min(Math.max(middle - popup.offsetWidth / 2, 0), box.width - popup.offsetWidth)}px`;
    popup.style.top = `${(row / this.page.numRows) * box.height - popup.offsetHeight - 4}px`;
    press.popup = popup;
    this.choose(press, popup.firstElementChild as HTMLElement);
  }

  private choose(press: Press, option: HTMLElement): void {
    press.chosen?.setAttribute("aria-selected", "false");
    press.chosen = option;
    option.setAttribute("aria-selected", "true");
  }

  /** A click without a pointer: a screen reader, or Enter on a key that has the focus. */
  private click(event: MouseEvent): void {
    if (event.detail !== 0) return;
    const button = (event.target as Element).closest("button");
    const key = [...this.buttons].find(([, each]) => each === button)?.[0];
    if (key) this.act(key, null);
  }

  private step(event: KeyboardEvent): void {
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    };
    const move = moves[event.key];
    const from = [...this.buttons].find(([, each]) => each === document.activeElement)?.[0];
    if (!move || !from) return;
    event.preventDefault();
    const [dx, dy] = move;
    const middle = from.left + from.width / 2;
    const tap = { x: dx > 0 ? from.left + from.width + 0.1 : dx < 0 ? from.left - 0.1 : middle, y: from.row + dy + 0.5 };
    const to = this.buttons.get(keyAt(this.page, tap))!;
    for (const each of this.buttons.values()) each.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}
