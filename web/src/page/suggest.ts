/** The bar of browser mode: the model's words, none that must not be offered, and the lexicon's where those are too few. */
import { asTyped, capitalise, fold, type Lexicon, type Prediction, type Predictor, type Shift, type Suggestion } from "../engine";
import type { Bar, Slot } from "./session";

export interface MadeBar {
  readonly bar: Bar;
  /** Its ghost text, which may take calls of the network more. */
  ghost(): Promise<Bar>;
}

export async function makeBar(
  predictor: Predictor, lexicon: Lexicon, revision: number, before: string, shift: Shift, numSlots: number,
): Promise<MadeBar> {
  const prediction = await predictor.suggest(before);
  const isUnfit = (text: string): boolean => text.split(" ").some((word) => lexicon.isOffensive(word));
  const slots = fitting(prediction, lexicon, shift, numSlots, isUnfit);
  const bar: Bar = { revision, slots, correction: null, ghost: null };
  const [first] = prediction.items;
  const ghost = async (): Promise<Bar> =>
    first ? { ...bar, ghost: await predictor.ghost(prediction, cased(first, shift), isUnfit) } : bar;
  return { bar, ghost };
}

function fitting(
  prediction: Prediction, lexicon: Lexicon, shift: Shift, numSlots: number, isUnfit: (text: string) => boolean,
): Slot[] {
  const { partial } = prediction.typed;
  const slots: Slot[] = prediction.items
    .map((item) => ({ text: cased(item, shift), kind: item.kind, probability: item.probability, replaced: partial }))
    .filter((slot) => !isUnfit(slot.text));
  if (partial && slots.length < numSlots) {
    const known = new Set([partial, ...slots.map((slot) => slot.text)].map(fold));
    for (const word of lexicon.frequent(partial, numSlots + 1)) {
      const text = asTyped(word, partial);
      if (!known.has(fold(word)) && !isUnfit(text)) slots.push({ text, kind: "completion", probability: 0, replaced: partial });
    }
  }
  return slots.slice(0, numSlots);
}

function cased(item: Suggestion, shift: Shift): string {
  if (item.kind === "completion") return item.text;
  if (shift === "lock") return item.written.toUpperCase();
  return shift === "on" ? capitalise(item.written) : item.written;
}
