// Small parts of the engine that no golden file holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { engine } from "./golden.mjs";

const { bestPlaces, compareText, fasterBackend, fold, Heap, recent } = engine;

test("the k best are those of a sort, equal ones by place", () => {
  const values = Array.from({ length: 200 }, (_, i) => (i * 7919) % 13);
  for (const num of [0, 1, 5, 199, 200, 300]) {
    const ranked = values.map((value, place) => [value, place]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    assert.deepEqual(bestPlaces(values, num), ranked.slice(0, num).map(([, place]) => place).sort((a, b) => a - b));
  }
});

test("a heap gives what a stable sort gives", () => {
  const heap = new Heap();
  const ranks = Array.from({ length: 300 }, (_, i) => (i * 7919) % 17);
  ranks.forEach((rank, i) => heap.push(rank, i));
  const popped = ranks.map(() => heap.pop());
  assert.deepEqual(popped, ranks.map((rank, i) => [rank, i]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, i]) => i));
});

test("texts are ordered by code points, not by UTF-16 units", () => {
  assert.ok(compareText("\uff5e", "\u{1f600}") < 0);
  assert.ok("\uff5e" > "\u{1f600}"); // JavaScript's own order
  assert.ok(compareText("a", "ab") < 0);
});

test("folding keeps the number of code points", () => {
  for (const text of ["İstanbul", "Straße", "ΣΑΣ", "Ǆ", "𐐀bc"]) assert.equal([...fold(text)].length, [...text].length);
});

test("a long text is cut at a word, and the cut does not move with every key", () => {
  const text = "word ".repeat(2000);
  const cut = recent(text);
  assert.ok(cut.length <= 4096 && cut.startsWith("word "));
  assert.equal(recent(text + "w"), cut + "w");
});

class Timed {
  constructor(clock, ms) {
    this.clock = clock;
    this.ms = ms;
    this.length = 0;
  }
  rewind(length) {
    this.length = length;
  }
  async decode(ids) {
    if (this.ms === null) throw new Error("no such operator");
    this.length += ids.length;
    this.clock.now += this.ms;
  }
  async scoreTree() {
    this.clock.now += this.ms;
  }
}

test("the faster backend is taken, of equal ones the first, never one that fails", async () => {
  const clock = { now: 0 };
  const choose = async (first, second) => {
    const backends = [new Timed(clock, first), new Timed(clock, second)];
    const chosen = await fasterBackend(...backends, () => clock.now);
    assert.equal(chosen.length, 0); // its cache is empty again
    return backends.indexOf(chosen);
  };
  assert.equal(await choose(5, 2), 1);
  assert.equal(await choose(2, 5), 0);
  assert.equal(await choose(3, 3), 0);
  assert.equal(await choose(3, null), 0);
});
