// Answers what Python asks of the port: JSON lines in, JSON lines out. node bench/replay.mjs FOLDER [SEARCH OPTIONS AS JSON]
import { createInterface } from "node:readline";
import { openFolder } from "./open.mjs";
import { ToyBackend } from "./toy_backend.mjs";

const [folder, search = "{}"] = process.argv.slice(2);
const { engine, tokenizer, config, scores, lexicon, backend } = await openFolder(folder);
const options = { ...engine.DEFAULT_PREDICTOR, search: { ...engine.DEFAULT_SEARCH, ...JSON.parse(search) } };
let predictor = null;
let toy = null;

/** What an editor makes of events: each edit, then text, cursor and shift. */
function play(events) {
  const editor = new engine.Editor();
  return events.map((event) => {
    const { deletedBefore, deletedAfter, inserted, correction, undone, finished } = editor.apply(event);
    const words = finished.map(({ word, context, isMeant }) => [word, context, isMeant]);
    const pair = correction && [correction.replaced, correction.text];
    const taken = undone && [undone.literal, undone.corrected];
    return [deletedBefore, deletedAfter, inserted, pair, taken, words, editor.text, editor.cursor, editor.shift];
  });
}

async function answer({ op, text }) {
  switch (op) {
    case "ids":
      return tokenizer.encodeMessage(text);
    case "split": {
      const { messages, partial, startsSentence, spaceBefore } = tokenizer.form.splitTyped(text);
      return [messages, partial, startsSentence, spaceBefore];
    }
    case "session":
      return play(JSON.parse(text));
    case "offensive":
      return lexicon.isOffensive(text);
    case "frequent":
      return lexicon.frequent(text, 4);
    case "toy_bar": {
      toy ??= new engine.Predictor(new ToyBackend(scores, config.max_context_length), tokenizer, options);
      const calls = toy.numModelCalls;
      const { items } = await toy.suggest(text);
      return [items.map(({ text: word, kind, probability }) => [word, kind, probability]), toy.numModelCalls - calls];
    }
    case "bar": {
      predictor ??= new engine.Predictor(await backend(), tokenizer, options);
      const calls = predictor.numModelCalls;
      const begun = process.cpuUsage();
      const wall = performance.now();
      const { items } = await predictor.suggest(text);
      const used = process.cpuUsage(begun);
      return {
        slots: items.map((item) => item.text),
        kind: items[0]?.kind ?? null,
        probabilities: items.map((item) => item.probability),
        num_calls: predictor.numModelCalls - calls,
        cpu_ms: (used.user + used.system) / 1000,
        wall_ms: performance.now() - wall,
      };
    }
    default:
      throw new Error(`no such operation: ${op}`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
}
await new Promise((resolve) => process.stdout.write("", resolve)); // all of it is out
process.exit(0);
