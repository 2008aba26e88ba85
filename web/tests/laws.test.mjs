// The engine's laws, as far as they are ported: `tests/golden/laws`, over the network of integers of `tests/golden`.
//
// KEYBOARD_LM_DATA names a folder with the bundled model's tokenizer.json, config.json and lexicon.bin; pytest makes one.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { engine } from "./golden.mjs";
import { ToyNetwork } from "./toy_network.mjs";

const folder = process.env.KEYBOARD_LM_DATA;
const options = { skip: folder ? false : "KEYBOARD_LM_DATA is not set" };
const laws = new URL("../../tests/golden/laws/", import.meta.url);
const casesOf = (law) => readFileSync(new URL(`${law}.jsonl`, laws), "utf8").trim().split("\n").slice(1).map((line) => JSON.parse(line));
const json = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const close = (got, wanted) => Math.abs(got - wanted) <= 1e-9 + 1e-5 * Math.abs(wanted);

const pieces = folder && json("tokenizer.json");
const tokenizer = folder && new engine.Tokenizer(pieces);
const table = folder && new engine.PieceTable(tokenizer);

/** What Python's `json.dumps` writes, which the digests are of. */
function dumps(value) {
  if (Array.isArray(value)) return `[${value.map(dumps).join(", ")}]`;
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function boundaries() {
  const network = new ToyNetwork(pieces.scores, json("config.json").max_context_length);
  const cache = new engine.ContextCache(network);
  const room = network.capacity - engine.DEFAULT_SEARCH.maxNodes;
  const at = (typed) => {
    const ids = [];
    typed.messages.forEach((message, i) => {
      ids.push(...tokenizer.encodeTokens(message));
      if (i < typed.messages.length - 1) ids.push(tokenizer.eosId);
    });
    return cache.at(engine.fitContext(ids, tokenizer.bosId, table.endsToken, room));
  };
  return { network, at };
}

test("text_form", options, () => {
  for (const { text, normal, form, text_again, split } of casesOf("text_form")) {
    assert.equal(engine.normalise(text), normal, text);
    assert.equal(tokenizer.form.encode(text), form, text);
    assert.equal(tokenizer.form.decode(form), text_again, text);
    const { messages, partial, startsSentence, spaceBefore } = tokenizer.form.splitTyped(text);
    assert.deepEqual([messages, partial, startsSentence, spaceBefore], split, text);
  }
});

test("tokens", options, () => {
  for (const { text, ids } of casesOf("tokens")) assert.deepEqual(tokenizer.encodeMessage(text), ids, text);
});

test("pieces", options, () => {
  for (const { set, first, num, sha256 } of casesOf("pieces")) {
    const pieceSet = table[set];
    const [start, stop] = first ? pieceSet.startingWith(first) : pieceSet.group("");
    const rows = [];
    for (let i = start; i < stop; i++) rows.push([pieceSet.keys[i], pieceSet.texts[i], pieceSet.ids[i], Boolean(pieceSet.mayBegin[i])]);
    assert.equal(rows.length, num, first);
    assert.equal(createHash("sha256").update(dumps(rows)).digest("hex"), sha256, `${set} ${first}`);
  }
});

test("lexicon", options, () => {
  const lexicon = new engine.Lexicon(new Uint8Array(readFileSync(join(folder, "lexicon.bin"))).buffer);
  for (const { word, prefix, offensive, frequent } of casesOf("lexicon")) {
    if (word !== undefined) assert.equal(lexicon.isOffensive(word), offensive, word);
    else assert.deepEqual(lexicon.frequent(prefix, 4), frequent.map(([text]) => text), prefix);
  }
});

test("search", options, async () => {
  const { at } = boundaries();
  for (const { text, num_words, words, typed, prefix, rounds } of casesOf("search")) {
    const split = tokenizer.form.splitTyped(text);
    const found = await engine.findWords(table, await at(split), split.partial, num_words);
    assert.deepEqual(found.words.map((word) => word.text), words.map(([word]) => word), text);
    const got = [...found.words.map((word) => word.probability), found.typedProbability, found.prefixProbability];
    [...words.map(([, probability]) => probability), typed, prefix].forEach((wanted, i) => assert.ok(close(got[i], wanted), text));
    assert.equal(found.numRounds, rounds, text);
  }
});

test("cache_calls", options, async () => {
  const { network, at } = boundaries();
  for (const { text, calls } of casesOf("cache_calls")) {
    network.calls.length = 0;
    const typed = tokenizer.form.splitTyped(text);
    await engine.findWords(table, await at(typed), typed.partial);
    assert.deepEqual(network.calls, calls, text);
  }
});
