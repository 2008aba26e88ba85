// The text form and the editor give what the golden files hold, as Python does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { engine, golden } from "./golden.mjs";

const { Editor, TextForm } = engine;

test("encode and decode match the golden file", () => {
  const { proper_nouns, encode } = golden("text_form.json");
  const form = new TextForm(proper_nouns);
  for (const { text, form: expected, restored } of encode) {
    assert.equal(form.encode(text), expected, text);
    assert.equal(form.decode(expected), restored, text);
  }
});

test("splitting what is typed matches the golden file", () => {
  const { proper_nouns, split_typed } = golden("text_form.json");
  const form = new TextForm(proper_nouns);
  for (const { text, ...expected } of split_typed) {
    const { messages, partial, startsSentence, spaceBefore } = form.splitTyped(text);
    assert.deepEqual({ messages, partial, starts_sentence: startsSentence, space_before: spaceBefore }, expected, text);
  }
});

function* eventsOf(step) {
  if ("typed" in step) {
    const chars = step.as_one ? [step.typed] : [...step.typed];
    for (const [i, char] of chars.entries()) {
      const offered = step.correction && i === chars.length - 1 ? step.correction : null;
      yield { type: "typed", char, correction: offered && { replaced: offered[0], text: offered[1] } };
    }
  } else if ("swiped" in step) yield { type: "swiped", path: [], word: step.swiped };
  else if ("backspaced" in step) for (let i = 0; i < step.backspaced; i++) yield { type: "backspaced" };
  else if ("shift_pressed" in step) yield { type: "shift_pressed", lock: step.shift_pressed === "twice" };
  else if ("slot_accepted" in step) yield { type: "slot_accepted", word: step.slot_accepted, replaced: step.replaced ?? null };
  else if ("ghost_accepted" in step) yield { type: "ghost_accepted", ghost: step.ghost_accepted, only_word: step.only_word ?? false };
  else if ("cursor_moved" in step) yield { type: "cursor_moved", cursor: step.cursor_moved };
  else if ("text_changed" in step) yield { type: "text_changed", text: step.text_changed, cursor: step.cursor ?? 0 };
  else if ("field_started" in step) yield { type: "field_started", text: step.field_started, is_private: step.is_private ?? false };
  else throw new Error(`no such step: ${JSON.stringify(step)}`);
}

const cases = [...golden("editor.json").cases, ...golden("swipe.json").editor];
for (const { name, events, text, cursor, shift, finished, undone } of cases) {
  test(`editor: ${name}`, () => {
    const editor = new Editor();
    const words = [];
    const taken = [];
    for (const event of events.flatMap((step) => [...eventsOf(step)])) {
      const edit = editor.apply(event);
      words.push(...edit.finished.map((each) => each.word));
      if (edit.undone) taken.push([edit.undone.literal, edit.undone.corrected]);
    }
    assert.equal(editor.text, text);
    if (cursor !== undefined) assert.equal(editor.cursor, cursor);
    if (shift !== undefined) assert.equal(editor.shift, shift);
    if (finished !== undefined) assert.deepEqual(words, finished);
    if (undone !== undefined) assert.deepEqual(taken, undone);
  });
}
