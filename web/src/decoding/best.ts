/** The k best of many, equal ones by their place (`keyboard_lm/decoding/best.py`). */

type Numbers = ArrayLike<number>;

/** Where the `num` largest values are, in ascending order of places; of equal ones the first. */
export function bestPlaces(values: Numbers, num: number): number[] {
  const places = Array.from({ length: values.length }, (_, place) => place);
  if (num >= places.length) return places;
  return places.sort((a, b) => values[b] - values[a] || a - b).slice(0, Math.max(num, 0)).sort((a, b) => a - b);
}

/** A heap of items by rank, the smallest first; of equal ranks what came first. */
export class Heap<Item> {
  private readonly items: { rank: number; order: number; item: Item }[] = [];
  private order = 0;

  get size(): number {
    return this.items.length;
  }

  /** The smallest rank; `Infinity` where nothing is left. */
  get rank(): number {
    return this.items.length ? this.items[0].rank : Infinity;
  }

  get first(): Item {
    return this.items[0].item;
  }

  *[Symbol.iterator](): Iterator<Item> {
    for (const { item } of this.items) yield item;
  }

  push(rank: number, item: Item): void {
    const items = this.items;
    const entry = { rank, order: this.order++, item };
    let place = items.length;
    items.push(entry);
    while (place) {
      const above = (place - 1) >> 1;
      if (!this.isBefore(entry, items[above])) break;
      items[place] = items[above];
      place = above;
    }
    items[place] = entry;
  }

  pop(): Item {
    const items = this.items;
    const { item } = items[0];
    const last = items.pop()!;
    const { length } = items;
    if (length) {
      let place = 0;
      for (;;) {
        let below = 2 * place + 1;
        if (below >= length) break;
        if (below + 1 < length && this.isBefore(items[below + 1], items[below])) below++;
        if (!this.isBefore(items[below], last)) break;
        items[place] = items[below];
        place = below;
      }
      items[place] = last;
    }
    return item;
  }

  private isBefore(a: { rank: number; order: number }, b: { rank: number; order: number }): boolean {
    return a.rank !== b.rank ? a.rank < b.rank : a.order < b.order;
  }
}
