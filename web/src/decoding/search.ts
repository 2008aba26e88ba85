/** The most probable words that begin with what has been typed (`keyboard_lm/decoding/search.py`). */
import { compareText, fold } from "../text/characters";
import { isWord } from "../text/form";
import { bestPlaces, Heap } from "./best";
import { keyOf, type Boundary, type Path } from "./context";
import type { PieceSet, PieceTable, Span } from "./pieces";

const FEW = 64; // pieces, whose words are sooner added up one by one than all of a table's together

/** How far to look; see the fields of the same names in Python. */
export interface SearchOptions {
  readonly maxRounds: number;
  readonly maxNodes: number;
  readonly stopRatio: number;
  readonly negligible: number;
  readonly lowerCaseOdds: number;
}

export const DEFAULT_SEARCH: SearchOptions = {
  maxRounds: 4,
  maxNodes: 16,
  stopRatio: 1.0,
  negligible: 0.005,
  lowerCaseOdds: 0.05,
};

export interface FoundWord {
  /** As the text form has it; of case variants the most probable. */
  readonly text: string;
  readonly probability: number;
}

export interface SearchResult {
  readonly words: readonly FoundWord[];
  /** Of the word that is exactly the typed prefix, in any case. */
  readonly typedProbability: number;
  /** Of any word beginning with the prefix, over the branches explored. */
  readonly prefixProbability: number;
  readonly numRounds: number;
}

/** A word begun: the pieces so far, and what is known after them. */
interface Node {
  readonly path: Path;
  readonly text: string;
  readonly mass: number;
  readonly rest: string; // the folded part of the prefix that the pieces have yet to cover
  readonly lacksCapital: boolean;
}

/** A node to be, by one more piece or by a run of byte pieces, whose `mass` so far is that of the first byte. */
interface Branch {
  readonly parent: Node;
  readonly run: Path;
  readonly path: Path;
  readonly text: string;
  readonly mass: number;
  readonly rest: string;
  readonly lacksCapital: boolean;
  readonly inBytes: boolean;
}

/** The ways to finish the word at one node: groups of pieces that differ in case only. */
class Endings {
  constructor(readonly node: Node, readonly pieces: PieceSet, readonly span: Span, readonly masses: Float64Array) {}

  /** The first pieces of the `num` most probable groups above `floor`, with their masses; of equal ones the first. */
  best(num: number, floor: number): [number, number][] {
    const { groupStarts, largestGroup, keys } = this.pieces;
    const [first, stop] = this.span;
    if (floor > 0) {
      const share = floor / largestGroup;
      const places: number[] = [];
      for (let i = 0; i < this.masses.length; i++) if (this.masses[i] > share) places.push(i);
      if (places.length < FEW) {
        const groups = new Map(places.map((place) => this.pieces.group(keys[first + place])).map((span) => [span[0], span]));
        const found = [...groups.values()].map((span): [number, number] => [span[0], this.between(span)]);
        return found.filter(([, mass]) => mass > floor).sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, num);
      }
    }
    let group = lowerBound(groupStarts, first);
    const starts: number[] = [];
    const masses: number[] = [];
    for (; groupStarts[group] < stop; group++) {
      let mass = 0;
      for (let i = groupStarts[group]; i < groupStarts[group + 1]; i++) mass += this.masses[i - first];
      if (mass > floor) {
        starts.push(groupStarts[group]);
        masses.push(mass);
      }
    }
    return bestPlaces(masses, num).map((place) => [starts[place], masses[place]]);
  }

  /** The probability of a folded word, which begins as the node does, in any case. */
  mass(key: string): number {
    return this.between(this.pieces.group(key.slice(this.node.text.length)));
  }

  private between([start, stop]: Span): number {
    // The probability of a group; 0 where that is outside the span.
    const from = start - this.span[0];
    const to = stop - this.span[0];
    if (from < 0 || to > this.masses.length) return 0;
    let mass = 0;
    for (let i = from; i < to; i++) mass += this.masses[i];
    return mass;
  }

  /** The case variants of a folded word, each with its probability. */
  variants(key: string): [string, number][] {
    const [start, stop] = this.pieces.group(key.slice(this.node.text.length));
    const found: [string, number][] = [];
    for (let i = Math.max(start, this.span[0]); i < Math.min(stop, this.span[1]); i++)
      found.push([this.node.text + this.pieces.texts[i], this.masses[i - this.span[0]]]);
    return found;
  }
}

class Search {
  private readonly key: string;
  private readonly frontier = new Heap<Branch>();
  private readonly endings: Endings[] = [];
  private readonly stems: string[] = []; // of the endings, folded
  private readonly found = new Map<string, number>(); // folded word -> probability
  private readonly capitals: [number, string][];
  private lastWanted: number | null = 0;
  private foundMass = 0;
  private prefixMass = 0;

  constructor(
    private readonly table: PieceTable,
    private readonly boundary: Boundary,
    private readonly prefix: string,
    private readonly numWords: number,
    private readonly options: SearchOptions,
  ) {
    this.key = fold(prefix);
    this.capitals = [];
    for (let i = 0; i < prefix.length; i++) if (prefix[i] !== this.key[i]) this.capitals.push([i, prefix[i]]);
  }

  async run(): Promise<SearchResult> {
    this.open({ path: [], text: "", mass: 1, rest: this.key, lacksCapital: false });
    let numRounds = 0;
    while (numRounds < this.options.maxRounds) {
      const batch = this.nextBatch();
      if (!batch.length) break;
      const unknown = batch.map((branch) => branch.path).filter((path) => !this.boundary.isKnown(path));
      if (unknown.length) await this.boundary.expand(unknown);
      numRounds++; // also where an earlier search has paid for it: the answer must not depend on that
      for (const branch of batch) this.open(this.node(branch));
    }
    const best = [...this.found].sort((a, b) => b[1] - a[1] || compareText(a[0], b[0])).slice(0, this.numWords);
    return {
      words: best.map(([key, probability]) => ({ text: this.asCased(key), probability })),
      typedProbability: isWord(this.key) ? this.massOf(this.key) : 0,
      prefixProbability: this.prefixMass,
      numRounds,
    };
  }

  /** Takes the branches that are worth following from the frontier, as many as fit one call. */
  private nextBatch(): Branch[] {
    const batch: Branch[] = [];
    const nodes = new Set<string>();
    const floor = this.floor();
    while (this.frontier.size && -this.frontier.rank > floor) {
      const { path } = this.frontier.first;
      const added = path.map((_, depth) => keyOf(path.slice(0, depth + 1))).filter((key) => !nodes.has(key));
      if (nodes.size + added.length > this.options.maxNodes) {
        if (nodes.size) break;
        this.frontier.pop(); // too long for any call
        continue;
      }
      for (const key of added) nodes.add(key);
      batch.push(this.frontier.pop());
    }
    return batch;
  }

  /** The probability up to which a branch is not worth following; it never falls. */
  private floor(): number {
    if (this.lastWanted === null) {
      const masses = [...this.found.values()].sort((a, b) => b - a);
      this.lastWanted = masses.length >= this.numWords ? masses[this.numWords - 1] : 0;
    }
    return Math.max(this.lastWanted * this.options.stopRatio, this.foundMass * this.options.negligible);
  }

  private node(branch: Branch): Node {
    let { mass } = branch;
    const { run, parent } = branch;
    for (let i = 1; i < run.length; i++) mass *= this.boundary.probabilities([...parent.path, ...run.slice(0, i)])[run[i]];
    if (branch.inBytes && !branch.rest) this.prefixMass += mass;
    return { path: branch.path, text: branch.text, mass, rest: branch.rest, lacksCapital: branch.lacksCapital };
  }

  /** Adds the words that end at a node, and the branches that leave it. */
  private open(node: Node): void {
    const { ends, opens } = this.table;
    const span = ends.startingWith(node.rest);
    let masses = this.masses(node, ends, span);
    let covered = sum(masses, masses.length);
    if (masses.length) this.addWords(new Endings(node, ends, span, masses), covered);
    const floor = this.floor();
    const openSpan = opens.startingWith(node.rest);
    const places = node.rest ? opens.beginningOrBegun(node.rest) : openSpan;
    masses = this.masses(node, opens, places);
    const width = openSpan[1] - openSpan[0];
    covered += sum(masses, width);
    this.push(node, opens, places, masses, floor);
    if (node.rest || !node.path.length) this.prefixMass += covered;
    if (node.rest && !covered && masses.length === width) this.pushBytes(node);
  }

  private masses(node: Node, pieces: PieceSet, places: Span | Int32Array): Float64Array {
    const given = this.boundary.arranged(pieces, node.path);
    const isList = places instanceof Int32Array;
    const length = isList ? places.length : places[1] - places[0];
    const masses = new Float64Array(length);
    const isCapital = this.capitals.length > 0 && !node.lacksCapital;
    for (let i = 0; i < length; i++) {
      const place = isList ? places[i] : places[0] + i;
      masses[i] = given[place] * node.mass;
      if (isCapital && masses[i] && this.lacksCapital(node.text, pieces.texts[place])) masses[i] *= this.options.lowerCaseOdds;
    }
    return masses;
  }

  private lacksCapital(stem: string, piece: string): boolean {
    const end = stem.length + piece.length;
    return this.capitals.some(([i, char]) => stem.length <= i && i < end && piece[i - stem.length] !== char);
  }

  /** Puts open pieces on the frontier, as far as a search can come to follow them. */
  private push(node: Node, pieces: PieceSet, places: Span | Int32Array, masses: Float64Array, floor: number): void {
    let kept: number[] = [];
    for (let i = 0; i < masses.length; i++) if (masses[i] > floor) kept.push(i);
    const most = this.options.maxNodes * this.options.maxRounds;
    if (most < kept.length) kept = bestPlaces(kept.map((i) => masses[i]), most).map((i) => kept[i]);
    for (const i of kept) {
      const place = places instanceof Int32Array ? places[i] : places[0] + i;
      const text = pieces.texts[place];
      this.frontier.push(-masses[i], {
        parent: node,
        run: [pieces.ids[place]],
        path: [...node.path, pieces.ids[place]],
        text: node.text + text,
        mass: masses[i],
        rest: node.rest.slice(text.length),
        lacksCapital: node.lacksCapital || this.lacksCapital(node.text, text),
        inBytes: false,
      });
    }
  }

  /** Branches into the bytes of the typed letters that no piece can spell. */
  private pushBytes(node: Node): void {
    const typed = Array.from(this.prefix.slice(this.prefix.length - node.rest.length));
    const restAfter = (num: number): string => node.rest.slice(typed.slice(0, num).join("").length);
    let length = 1;
    const most = Math.min(typed.length, this.options.maxNodes); // a longer run fits no call
    while (length < most && !this.table.canContinue(restAfter(length))) length++;
    const text = typed.slice(0, length).join("");
    const run = Array.from(new TextEncoder().encode(text), (byte) => this.table.byteIds[byte]);
    if (Math.min(...run) < 0) return;
    const mass = this.boundary.probabilities(node.path)[run[0]] * node.mass;
    this.frontier.push(-mass, {
      parent: node,
      run,
      path: [...node.path, ...run],
      text: node.text + text,
      mass,
      rest: restAfter(length),
      lacksCapital: node.lacksCapital,
      inBytes: true,
    });
  }

  /** Adds the words that end at one node, of `mass` together, to those found; equal words are added up. */
  private addWords(endings: Endings, mass: number): void {
    const stem = fold(endings.node.text);
    const { keys, areWords } = endings.pieces;
    const isFirst = !this.endings.length;
    // What is below the floor here could be among the best only with what it has elsewhere, and is added there.
    const floor = isFirst ? 0 : this.floor();
    this.endings.push(endings);
    this.stems.push(stem);
    this.foundMass += mass;
    this.lastWanted = null;
    if (!isFirst) for (const [key, known] of this.found) if (key.startsWith(stem)) this.found.set(key, known + endings.mass(key));
    for (const [piece, massHere] of endings.best(4 * this.numWords + 20, floor)) {
      const key = stem + keys[piece];
      if (!this.found.has(key) && (stem ? isWord(key) : areWords[piece])) this.found.set(key, isFirst ? massHere : this.massOf(key));
    }
  }

  private massOf(key: string): number {
    let mass = 0;
    for (const endings of this.endingsOf(key)) mass += endings.mass(key);
    return mass;
  }

  private asCased(key: string): string {
    const variants = new Map<string, number>();
    for (const endings of this.endingsOf(key))
      for (const [text, mass] of endings.variants(key)) variants.set(text, (variants.get(text) ?? 0) + mass);
    return [...variants].sort((a, b) => b[1] - a[1] || compareText(a[0], b[0]))[0][0];
  }

  /** The nodes opened so far where a folded word may end. */
  private endingsOf(key: string): Endings[] {
    return this.endings.filter((_, i) => key.startsWith(this.stems[i]));
  }
}

function sum(values: Float64Array, length: number): number {
  let total = 0;
  for (let i = 0; i < length; i++) total += values[i];
  return total;
}

function lowerBound(values: Int32Array, least: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] >= least) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The most probable words that begin with `prefix` after a context. Matching ignores case; a typed capital prefers words that have it. */
export function findWords(
  table: PieceTable, boundary: Boundary, prefix: string, numWords = 3, options = DEFAULT_SEARCH,
): Promise<SearchResult> {
  return new Search(table, boundary, prefix, numWords, options).run();
}
