// A network of integers: the tokenizer's scores as a prior, and a hash of what came before. `tests/web/toy_backend.py` is
// the same in Python, to the last bit.
const mix = (hash, id) => (Math.imul(hash, 31) + id + 7) >>> 0;

export class ToyBackend {
  constructor(scores, capacity) {
    this.scores = Float32Array.from(scores);
    this.capacity = capacity;
    this.hashes = [1]; // after each cached id
  }

  get length() {
    return this.hashes.length - 1;
  }

  rewind(length) {
    this.hashes.length = length + 1;
  }

  async decode(ids) {
    for (const id of ids) this.hashes.push(mix(this.hashes.at(-1), id));
    return this.logits(this.hashes.at(-1));
  }

  async scoreTree(ids, parents) {
    const hashes = [];
    ids.forEach((id, node) => hashes.push(mix(parents[node] < 0 ? this.hashes.at(-1) : hashes[parents[node]], id)));
    return hashes.map((hash) => this.logits(hash));
  }

  logits(hash) {
    return this.scores.map((score, id) => {
      const mixed = Math.imul(hash ^ Math.imul(id + 1, 0x9e3779b1), 0x85ebca6b) >>> 0;
      return score + (mixed >>> 22) / 128; // a whole number of 128ths below 8, rounded to float32 with the score
    });
  }
}
