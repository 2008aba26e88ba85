/** The text field: what the keyboard says is done to it, what happens to it otherwise is told, ghost text stands behind it. */
import { charsOf, type Edit } from "../engine";

export interface FieldListener {
  onKey(char: string): void;
  onBackspace(): void;
  onTextChanged(text: string, cursor: number): void;
  onCursorMoved(cursor: number): void;
  onGhost(onlyWord: boolean): void;
  onSlot(index: number): void;
}

export class FieldView {
  /** In code points, as all offsets of the project. */
  cursor = 0;
  private ghost = "";

  constructor(
    private readonly area: HTMLTextAreaElement,
    private readonly mirror: HTMLElement,
    private readonly listener: FieldListener,
  ) {
    area.addEventListener("beforeinput", (event) => this.beforeInput(event));
    area.addEventListener("input", () => this.changed());
    area.addEventListener("keydown", (event) => this.keyDown(event));
    document.addEventListener("selectionchange", () => this.moved());
    mirror.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      if ((event.target as Element).classList.contains("ghost")) listener.onGhost(false);
    });
  }

  get text(): string {
    return this.area.value;
  }

  focus(): void {
    this.area.focus();
  }

  setText(text: string): void {
    this.area.value = text;
    this.put(charsOf(text).length);
  }

  /** Does to the field what an edit says. */
  apply(edit: Edit): void {
    if (!edit.deletedBefore && !edit.deletedAfter && !edit.inserted) return;
    const chars = charsOf(this.text);
    const start = this.cursor - charsOf(edit.deletedBefore).length;
    const inserted = charsOf(edit.inserted);
    chars.splice(start, this.cursor - start + charsOf(edit.deletedAfter).length, ...inserted);
    this.area.value = chars.join("");
    this.put(start + inserted.length);
  }

  setGhost(ghost: string): void {
    this.ghost = this.cursor === charsOf(this.text).length ? ghost : "";
    const before = document.createElement("span");
    before.textContent = this.text;
    const behind = document.createElement("span");
    behind.className = "ghost";
    behind.textContent = this.ghost;
    this.mirror.replaceChildren(before, behind);
    this.mirror.scrollTop = this.area.scrollTop;
  }

  /** What is selected goes, as it would for a hardware key. */
  deleteSelection(): boolean {
    this.moved();
    const { selectionStart, selectionEnd } = this.area;
    if (selectionStart === selectionEnd) return false;
    this.area.setRangeText("", selectionStart, selectionEnd, "end");
    this.changed();
    return true;
  }

  private put(cursor: number): void {
    this.cursor = cursor;
    const units = charsOf(this.text).slice(0, cursor).join("").length;
    this.area.setSelectionRange(units, units);
    this.area.scrollTop = this.area.scrollHeight;
  }

  private beforeInput(event: InputEvent): void {
    if (event.isComposing) return;
    this.moved(); // the browser tells of a moved cursor later than of the next key
    const isCollapsed = this.area.selectionStart === this.area.selectionEnd;
    if (event.inputType === "insertText" && event.data) {
      event.preventDefault();
      if (!isCollapsed) this.deleteSelection();
      for (const char of charsOf(event.data)) this.listener.onKey(char);
    } else if (event.inputType === "insertLineBreak") {
      event.preventDefault();
      if (!isCollapsed) this.deleteSelection();
      this.listener.onKey("\n");
    } else if (event.inputType === "deleteContentBackward" && isCollapsed) {
      event.preventDefault();
      this.listener.onBackspace();
    }
  }

  /** Something else than a key changed the text: pasted, cut, composed, undone by the browser. */
  private changed(): void {
    this.cursor = charsOf(this.text.slice(0, this.area.selectionStart)).length;
    this.listener.onTextChanged(this.text, this.cursor);
  }

  private moved(): void {
    const { selectionStart, selectionEnd } = this.area;
    if (document.activeElement !== this.area || selectionStart !== selectionEnd) return;
    const cursor = charsOf(this.text.slice(0, selectionStart)).length;
    if (cursor === this.cursor) return;
    this.cursor = cursor;
    this.listener.onCursorMoved(cursor);
  }

  private keyDown(event: KeyboardEvent): void {
    if (event.altKey && /^[1-9]$/.test(event.key)) {
      event.preventDefault();
      this.listener.onSlot(Number(event.key) - 1);
    } else if (event.key === "ArrowRight" && this.ghost && !event.shiftKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.listener.onGhost(event.altKey);
    } else if (event.key === "Escape") this.setGhost("");
  }
}
