// Small parts of the engine that no golden file holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ToyBackend } from "../bench/toy_backend.mjs";
import { engine } from "./golden.mjs";

const { agree, bestPlaces, compareText, fold, Heap, recent, stepsMs } = engine;

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

test("a backend is timed warm, and given up where it is slower than the other or fails", async () => {
  const clock = { now: 0 };
  const timed = async (ms, giveUpMs) => {
    const backend = new Timed(clock, ms);
    const found = await stepsMs(backend, () => clock.now, giveUpMs);
    assert.equal(backend.length, 0); // its cache is empty again
    return found;
  };
  assert.equal(await timed(5), 10);
  assert.equal(await timed(2, 10), 4);
  assert.equal(await timed(5, 10), Infinity); // equal: the first stays
  assert.equal(await timed(500, 10), Infinity);
  assert.equal(await timed(null), Infinity);
});

test("a backend that computes something else is told from one that computes the same", async () => {
  const scores = Array.from({ length: 50 }, (_, i) => -i / 7);
  const same = new ToyBackend(scores, 64);
  const other = new ToyBackend(scores.map((score, i) => (i === 20 ? score + 0.1 : score)), 64);
  const inline = new ToyBackend(scores, 64); // its tree is one branch
  inline.scoreTree = async function (ids) {
    return ToyBackend.prototype.scoreTree.call(this, ids, ids.map((_, i) => i - 1));
  };
  assert.equal(await agree(new ToyBackend(scores, 64), same), true);
  assert.equal(await agree(new ToyBackend(scores, 64), other), false);
  assert.equal(await agree(new ToyBackend(scores, 64), inline), false);
  assert.equal(same.length, 0);
});
