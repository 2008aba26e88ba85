/** From the text before the cursor to a ranked suggestion bar, by the model alone (`keyboard_lm/evaluation/predictor.py`). */
import { firstChar, fold, isAllUpper, isAlpha, isUppercase } from "../text/characters";
import { capitalise, type TypedText } from "../text/form";
import type { Backend } from "../network/backend";
import type { Tokenizer } from "../network/tokenizer";
import { ContextCache, fitContext, type Boundary, type Path } from "./context";
import { continuation, INLINE } from "./inline";
import { PieceTable } from "./pieces";
import { DEFAULT_SEARCH, findWords, type SearchOptions, type SearchResult } from "./search";

const MOST_CHARS = 4096; // of a field that are looked at; far more than the window holds
const STEP_CHARS = 1024; // what is cut off grows by so much at a time: each cut costs a prefill

export interface PredictorOptions {
  readonly numSuggestions: number;
  /** The letters before the cursor count as a finished word when it is so many times as probable as all longer ones. */
  readonly finishedRatio: number;
  readonly search: SearchOptions;
}

export const DEFAULT_PREDICTOR: PredictorOptions = { numSuggestions: 3, finishedRatio: 1, search: DEFAULT_SEARCH };

export interface Suggestion {
  readonly text: string;
  readonly kind: "next_word" | "completion";
  readonly probability: number;
  /** As the model has it, before capitals were put on. */
  readonly written: string;
}

export interface Ghost {
  readonly text: string;
  readonly probability: number;
}

/** A bar, and where it came from: enough to look for ghost text afterwards. */
export interface Prediction {
  readonly items: readonly Suggestion[];
  readonly typed: TypedText;
  readonly boundary: Boundary;
  /** How likely the letters before the cursor are a whole word, where next words stand behind one; else 1. */
  readonly finished: number;
  /** Whether next words stand behind a word that no space has ended. */
  readonly isBehindWord: boolean;
}

export class Predictor {
  readonly table: PieceTable;
  private readonly cache: ContextCache;
  private readonly room: number;

  constructor(
    backend: Backend,
    private readonly tokenizer: Tokenizer,
    private readonly options: PredictorOptions = DEFAULT_PREDICTOR,
  ) {
    this.table = new PieceTable(tokenizer);
    this.cache = new ContextCache(backend);
    this.room = backend.capacity - options.search.maxNodes;
  }

  /** Calls of the network since construction. */
  get numModelCalls(): number {
    return this.cache.numCalls;
  }

  /** Drops what the network has computed for earlier texts. */
  forget(): void {
    this.cache.forget();
  }

  /** The bar for the text before the cursor. */
  async suggest(text: string): Promise<Prediction> {
    const shortened = recent(text);
    const typed = this.tokenizer.form.splitTyped(shortened);
    if (!typed.partial) return this.nextWords(typed, 1, false);
    const boundary = await this.boundaryOf(typed);
    const result = await this.longerWords(typed, boundary);
    const items = this.isFinished(result) ? [] : this.completions(typed, result);
    if (items.length) return { items, typed, boundary, finished: 1, isBehindWord: false };
    const { typedProbability, prefixProbability } = result;
    const finished = prefixProbability ? Math.min(1, typedProbability / prefixProbability) : 0;
    return this.nextWords(this.tokenizer.form.splitTyped(shortened + " "), finished, true);
  }

  /**
   * Ghost text behind a bar: its first word, and as many after it as are likely enough together.
   *
   * `shown` is that word with the capitals that the bar gives it.
   */
  async ghost(prediction: Prediction, shown: string, isUnfit: (word: string) => boolean): Promise<Ghost | null> {
    const [first] = prediction.items;
    let probability = first ? first.probability * prediction.finished : 0;
    const { partial } = prediction.typed;
    if (probability < INLINE.threshold || isUnfit(shown) || !shown.startsWith(partial)) return null;
    let text = (prediction.isBehindWord ? " " : "") + shown.slice(partial.length);
    let path = this.pathOf(first.written);
    for (let numWords = 1; numWords < INLINE.maxWords; numWords++) {
      const least = (0.99 * INLINE.threshold) / probability;
      const found = await continuation(this.table, prediction.boundary, path, this.options.search.maxNodes, 1, least);
      const next = found?.[0];
      if (!next || probability * next.probability < INLINE.threshold || isUnfit(next.text)) break;
      text += ` ${next.text}`;
      probability *= next.probability;
      path = [...path, ...this.pathOf(next.text)];
    }
    return text.length >= INLINE.minChars ? { text, probability } : null;
  }

  /** The ids of the context before the word under the cursor. */
  contextIds(typed: TypedText): Path {
    const ids: number[] = [];
    typed.messages.forEach((message, i) => {
      ids.push(...this.tokenizer.encodeTokens(message));
      if (i < typed.messages.length - 1) ids.push(this.tokenizer.eosId);
    });
    return fitContext(ids, this.tokenizer.bosId, this.table.endsToken, this.room);
  }

  private pathOf(word: string): Path {
    return this.tokenizer.encodeTokens([word]);
  }

  private boundaryOf(typed: TypedText): Promise<Boundary> {
    return this.cache.at(this.contextIds(typed));
  }

  private longerWords(typed: TypedText, boundary: Boundary): Promise<SearchResult> {
    const { partial } = typed;
    const first = firstChar(partial);
    const prefix = typed.startsSentence ? fold(first) + partial.slice(first.length) : partial; // the keyboard put that capital there
    // One more is looked for: the typed word itself may be among them and is not shown.
    return findWords(this.table, boundary, prefix, this.options.numSuggestions + 1, this.options.search);
  }

  private completions({ partial }: TypedText, result: SearchResult): Suggestion[] {
    return result.words
      .map((word): Suggestion => ({
        text: asTyped(word.text, partial),
        kind: "completion",
        probability: Math.min(1, word.probability / result.prefixProbability),
        written: word.text,
      }))
      .filter((item) => item.text !== partial)
      .slice(0, this.options.numSuggestions);
  }

  private isFinished({ typedProbability, prefixProbability }: SearchResult): boolean {
    const longer = prefixProbability - typedProbability;
    return typedProbability > 0 && typedProbability >= this.options.finishedRatio * longer;
  }

  private async nextWords(typed: TypedText, finished: number, isBehindWord: boolean): Promise<Prediction> {
    const boundary = await this.boundaryOf(typed);
    const { numSuggestions, search } = this.options;
    const result = await findWords(this.table, boundary, "", numSuggestions, search);
    const items = result.words.map(({ text, probability }): Suggestion => ({
      text: typed.startsSentence ? capitalise(text) : text,
      kind: "next_word",
      probability,
      written: text,
    }));
    return { items, typed, boundary, finished, isBehindWord };
  }
}

/** The end of a long text, from the beginning of a word on, so that answers take no longer for it. */
export function recent(text: string): string {
  if (text.length <= MOST_CHARS) return text; // never fewer units than code points
  const chars = Array.from(text);
  if (chars.length <= MOST_CHARS) return text;
  const start = Math.ceil((chars.length - MOST_CHARS) / STEP_CHARS) * STEP_CHARS;
  const space = chars.indexOf(" ", start);
  return chars.slice(space >= 0 && space < start + STEP_CHARS ? space + 1 : start).join("");
}

/** A completion with the capitals that were typed: the first letter's, or all of them. */
export function asTyped(text: string, typed: string): string {
  const numLetters = Array.from(typed).filter(isAlpha).length;
  if (numLetters > 1 && isAllUpper(typed)) return text.toUpperCase();
  return isUppercase(firstChar(typed)) ? capitalise(text) : text;
}
