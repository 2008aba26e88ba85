// The network of integers of the golden files (`tests/golden/toy_network.py`), bit for bit: 64-bit numbers as two halves.
const GRID = 2 ** -18;
const START = [0x243f6a88, 0x85a308d3];
const STEP = [0x9e3779b9, 0x7f4a7c15];

function multiply([aHigh, aLow], [bHigh, bLow]) {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const carry = a0 * b1 + (middle & 0xffff);
  const high = a1 * b1 + Math.floor(middle / 65536) + Math.floor(carry / 65536);
  return [(high + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0, ((carry << 16) | (low & 0xffff)) >>> 0];
}

const xorShifted = ([high, low], bits) => [(high ^ (high >>> bits)) >>> 0, (low ^ ((low >>> bits) | (high << (32 - bits)))) >>> 0];

function mix(value) {
  let mixed = multiply(xorShifted(value, 30), [0xbf58476d, 0x1ce4e5b9]);
  mixed = multiply(xorShifted(mixed, 27), [0x94d049bb, 0x133111eb]);
  return xorShifted(mixed, 31);
}

const stepOf = (id) => multiply([0, id + 1], STEP);
const after = (state, id) => {
  const [high, low] = stepOf(id);
  return mix([(state[0] ^ high) >>> 0, (state[1] ^ low) >>> 0]);
};

/** The nearest whole number, of two the even one. */
function rint(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

export class ToyNetwork {
  constructor(scores, capacity) {
    this.capacity = capacity;
    this.calls = [];
    this.prior = scores.map((score) => Math.min(Math.max(rint(score / GRID), -(2 ** 22)), 0));
    this.steps = scores.map((_, id) => stepOf(id));
    this.states = [START];
    this.isEmptied = false;
  }

  get length() {
    return this.states.length - 1;
  }

  rewind(length) {
    this.isEmptied = length === 0;
    if (length) this.calls.push(["rewind", length]);
    this.states.length = length + 1;
  }

  async decode(ids) {
    this.calls.push([this.isEmptied ? "prefill" : "decode", [...ids]]);
    this.isEmptied = false;
    for (const id of ids) this.states.push(after(this.states.at(-1), id));
    return this.logits(this.states.at(-1));
  }

  async scoreTree(ids, parents) {
    this.calls.push(["score_tree", [...ids], [...parents]]);
    const states = [];
    ids.forEach((id, node) => states.push(after(parents[node] < 0 ? this.states.at(-1) : states[parents[node]], id)));
    return states.map((state) => this.logits(state));
  }

  logits([high, low]) {
    return Float32Array.from(this.steps, (step, id) => {
      const [mixed] = mix([(step[0] ^ high) >>> 0, (step[1] ^ low) >>> 0]);
      return (this.prior[id] + (mixed >>> 11)) * GRID; // 21 bits of the mix
    });
  }
}
